/** Which certificate is found for a name, and that what is broken takes none away. One story over one database. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { openLog } from '#/lib/log.ts'
import { sql } from '#/lib/sql.ts'
import { makeAuthority } from '../../test/support/authority.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyAs } from '../../test/support/manifests.ts'
import { type Certificates, openCertificates } from './certificates.ts'

type Pair = { cert: string; key: string }
const now = new Date('2030-01-15T00:00:00Z')
const lines: string[] = []
const log = openLog('warn', { write: (line) => lines.push(line) })
let kernel: Kernel
let certificates: Certificates
let fallback: Pair
let present: Awaited<ReturnType<typeof makeAuthority>>
let stop: () => void

before(async () => {
  kernel = await openKernel(now)
  present = await makeAuthority(now)
  fallback = await present.issue('fallback.example.com')
  certificates = openCertificates({
    fallback: { certificate: fallback.cert, privateKey: fallback.key },
    pairs: new Map([
      ['default/file', pairOf(await present.issue('file.example.com'))],
      ['default/broken', { certificate: 'nothing', privateKey: 'nothing' }],
    ]),
    host: 'id.example.com',
    log,
    clock: () => now,
  })
  stop = await certificates.follow(kernel)
})
after(async () => {
  stop()
  await kernel.drop()
})

const pairOf = ({ cert, key }: Pair) => ({ certificate: cert, privateKey: key })
const applyOne = async (kind: string, metadata: { name: string; namespace?: string }, spec: object, at = now) => {
  const [result] = await applyAs(kernel, [{ apiVersion: 'signet.dev/v1alpha1', kind, metadata, spec }], {}, at)
  assert.notEqual(result?.result, 'refused', JSON.stringify(result?.errors))
}
const apply = (name: string, { cert, key }: Pair, namespace = 'default') =>
  applyOne('KeyPair', { name, namespace }, { certificate: cert, privateKey: key })
const onNextChange = () =>
  new Promise<void>((resolve) => {
    const unheard = certificates.onChange(() => {
      unheard()
      resolve()
    })
  })
const change = async (work: Promise<unknown>) => {
  const changed = onNextChange()
  await work
  await changed
}

/** What a client is shown; undefined where it is the default one. */
const shown = async (name: string): Promise<string | undefined> => {
  const secureContext = certificates.contextFor(name)
  if (!secureContext) return undefined
  const server = createServer({ SNICallback: (_, done) => done(null, secureContext) })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect({ port: (server.address() as AddressInfo).port, servername: 'x.example', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = new X509Certificate(socket.getPeerCertificate().raw)
  socket.destroy()
  server.close()
  return fingerprint256
}
const is = async (name: string, { cert }: Pair) => assert.equal(await shown(name), new X509Certificate(cert).fingerprint256)

test('a name that no pair has gets the default one, and a file that is broken harms none', async () => {
  assert.equal(await shown('nothing.example.com'), undefined)
  assert.ok(await shown('file.example.com'))
  assert.match(lines.join(''), /tls\.certificate\.refused.*default\/broken/)
})

test('of two with one name the valid one is found, of two valid ones the newer', async () => {
  const over = await (await makeAuthority(new Date('2029-06-01T00:00:00Z'))).issue('two.example.com')
  const older = await (await makeAuthority(new Date('2030-01-10T00:00:00Z'))).issue('two.example.com')
  const newer = await present.issue('two.example.com')
  const future = await (await makeAuthority(new Date('2030-06-01T00:00:00Z'))).issue('two.example.com')
  await change(apply('over', over))
  await is('two.example.com', over)
  await change(apply('future', future))
  await change(apply('older', older))
  await is('two.example.com', older)
  await change(apply('newer', newer))
  await is('two.example.com', newer)
  await is('TWO.example.com.', newer)
})

test('a client that names none gets that of BASE_URL, else one of an address, else the default one', async () => {
  assert.equal(certificates.unnamed().cert, fallback.cert)
  const ofAddress = await present.issue('2001:db8::1')
  await change(apply('address', ofAddress))
  assert.equal(certificates.unnamed().cert, ofAddress.cert)
  const ofHost = await present.issue('*.example.com')
  await change(apply('host', ofHost))
  assert.equal(certificates.unnamed().cert, ofHost.cert)
})

test('a key that can not be opened leaves the pair before it', async () => {
  const good = await present.issue('good.example.com')
  await change(apply('good', good))
  await is('good.example.com', good)
  await kernel.db.run(sql`update key_pair_keys set sealed_key = decode(repeat('00', 64), 'hex') where name = 'good'`)
  await kernel.db.run(sql`update resources set labels = '{"a": "b"}', resource_version = nextval('resource_version') where name = 'good'`)
  // One that is right comes after it, and is served all the same.
  const other = await present.issue('other.example.com')
  await change(apply('other', other))
  await is('other.example.com', other)
  await is('good.example.com', good)
  assert.match(lines.join(''), /tls\.key_pair\.failed.*default\/good/)
})

test('a pair that is deleted is served no more', async () => {
  await change(kernel.db.run(sql`delete from resources where kind = 'KeyPair' and name = 'host'`))
  assert.equal(await shown('nothing.example.com'), undefined)
})

test('a host of one namespace is never shown with a pair of another, the administrators’ alone excepted', async () => {
  const later = new Date(now.getTime() + 1_000)
  const proxy = { mode: 'proxy', upstreamUrl: 'http://127.0.0.1:9' }
  const application = (namespace: string, url: string, at?: Date) =>
    applyOne(
      'Application',
      { name: 'app', namespace },
      { displayName: 'App', authServerRef: { name: 'default', namespace: 'default' }, proxy: { ...proxy, externalUrl: url } },
      at,
    )
  await applyOne('AuthServer', { name: 'own', namespace: 'team-a' }, { issuerUrl: 'https://a.teams.example.com' })
  await application('team-b', 'https://b.teams.example.com:8443/wiki')
  // Someone who makes an Application or AuthServer of the same host makes it not theirs.
  await application('hostile', 'https://a.teams.example.com/mine', later)
  await applyOne('AuthServer', { name: 'own', namespace: 'hostile' }, { issuerUrl: 'https://b.teams.example.com:8443/mine' }, later)
  const before = await shown('good.example.com')
  const hostile = await present.issue('a.teams.example.com', 'b.teams.example.com', '*.teams.example.com', 'id.example.com', '2001:db8::9')
  await change(apply('hostile', hostile, 'hostile'))
  for (const host of ['a.teams.example.com', 'b.teams.example.com', 'id.example.com']) assert.equal(await shown(host), undefined, host)
  await is('c.teams.example.com', hostile)
  assert.notEqual(certificates.unnamed().cert, hostile.cert)
  const wildcard = await (await makeAuthority(new Date('2030-01-05T00:00:00Z'))).issue('*.teams.example.com')
  await change(apply('wildcard', wildcard))
  for (const host of ['a.teams.example.com', 'b.teams.example.com']) await is(host, wildcard)
  const ofA = await present.issue('a.teams.example.com')
  const ofB = await present.issue('b.teams.example.com')
  await change(apply('own', ofA, 'team-a'))
  await change(apply('own', ofB, 'team-b'))
  await is('a.teams.example.com', ofA)
  await is('A.Teams.Example.com.', ofA)
  await is('b.teams.example.com', ofB)
  assert.equal(await shown('good.example.com'), before)
})

test('what fails to hear of a change hears of the next one, and what is served goes on', async () => {
  const heard = Promise.withResolvers<void>()
  const unheard = certificates.onChange(() => {
    heard.resolve()
    throw new Error('not now')
  })
  await apply('unheard', await present.issue('unheard.example.com'))
  await heard.promise
  unheard()
  const next = await present.issue('heard.example.com')
  await change(apply('heard', next))
  await is('heard.example.com', next)
  assert.match(lines.join(''), /tls\.certificates\.failed.*not now/)
})

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { namesOf, pairProblem } from '#/lib/certificate.ts'
import { openLog } from '#/lib/log.ts'
import { ensureDefaultCertificate } from './default_certificate.ts'

const now = new Date('2030-01-15T00:00:00Z')
const lines: string[] = []
const log = openLog('warn', { write: (line) => lines.push(line) })
let folder: string
const path = () => join(folder, 'default_certificate.pem')
const ensure = (at = now, dataDir = folder) => ensureDefaultCertificate({ dataDir, host: 'id.example.com', log }, at)

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-default-'))
})
after(() => rmSync(folder, { recursive: true }))

test('it is made once, for this host and this machine, and readable by its owner alone', async () => {
  const made = await ensure()
  const certificate = new X509Certificate(made.certificate)
  assert.deepEqual(namesOf(certificate), { dns: ['id.example.com', 'localhost'], ip: ['127.0.0.1', '::1'] })
  assert.equal(certificate.ca, false)
  assert.equal(pairProblem(made.certificate, made.privateKey), undefined)
  assert.equal(statSync(path()).mode & 0o777, 0o600)
  const again = await ensure()
  assert.equal(new X509Certificate(again.certificate).fingerprint256, certificate.fingerprint256)
})

test('two processes that make it at the same time end up with one', async () => {
  rmSync(path())
  const made = await Promise.all([ensure(), ensure(), ensure()])
  const kept = readFileSync(path(), 'utf8')
  for (const { certificate } of made) assert.ok(kept.includes(certificate.trim()))
})

test('one that is nearly over is made anew', async () => {
  const before = await ensure()
  const later = await ensure(new Date('2039-12-25T00:00:00Z'))
  assert.notEqual(later.certificate, before.certificate)
  assert.ok(readFileSync(path(), 'utf8').includes(later.certificate.trim()))
})

test('what is no pair is made anew', async () => {
  writeFileSync(path(), 'half of a fi')
  const made = await ensure()
  assert.ok(readFileSync(path(), 'utf8').includes(made.certificate.trim()))
})

test('where the folder can not be written there is one all the same, and the log says so', async () => {
  const made = await ensure(now, join(path(), 'below'))
  assert.equal(pairProblem(made.certificate, made.privateKey), undefined)
  assert.match(lines.join(''), /tls\.default_certificate\.not_kept/)
  assert.doesNotMatch(lines.join(''), /PRIVATE KEY/)
})

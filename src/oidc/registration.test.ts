import assert from 'node:assert/strict'
import { request as rawRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { createToken, type unlimited } from '#/identity/api_tokens.ts'
import { sql } from '#/lib/sql.ts'
import { purgeRegisteredClients, storeRegisteredClient, useRegisteredClient } from '#/model/registered_clients.ts'
import { lockOut } from '#/policy/lock_out.ts'
import { redirectUri } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import { mostRegistered } from './registration_limits.ts'

const policy = (dynamicRegistration: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: default, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
  allowedGrantTypes: [authorization_code, refresh_token, client_credentials]
  allowedScopes: [openid, email]
  dynamicRegistration: ${dynamicRegistration}
`

describe('client registration', () => {
  let test: TestIssuer

  before(async () => {
    test = await startIssuer()
  })
  after(() => test.close())

  const register = async (metadata: object | string, token?: string) => {
    const answer = await fetch(`${test.issuer}/oauth2/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: typeof metadata === 'string' ? metadata : JSON.stringify(metadata),
    })
    const text = await answer.text()
    return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : {} }
  }

  /** With the target as it is written, which fetch would tidy up. */
  const registerAt = (path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const { hostname, port } = new URL(test.issuer)
      const asked = rawRequest({ hostname, port, path, method: 'POST', headers: { 'content-type': 'application/json' } }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
      asked.on('error', reject)
      asked.end(JSON.stringify({ redirect_uris: [redirectUri] }))
    })

  it('POST /oauth2/register is not there unless a policy offers it', async () => {
    assert.equal((await register({ redirect_uris: [redirectUri] })).status, 404)
    const discovery = (await (await fetch(`${test.issuer}/.well-known/openid-configuration`)).json()) as object
    assert.equal('registration_endpoint' in discovery, false)
  })

  it('POST /oauth2/register asks for an API token that may create clients', async () => {
    await test.apply(policy('{ enabled: true }'))
    assert.equal((await register({ redirect_uris: [redirectUri] })).status, 401)
    for (const path of ['/oauth2/register#x', '/oauth2/Register/#', '/oauth2/register/?'])
      assert.notEqual(await registerAt(path), 201, path)
    const make = async (scope: typeof unlimited) =>
      (await createToken(test.db, { name: 'registrar', user_id: null, scope, expires_at: null }, new Date())).token.reveal()
    assert.equal(
      (await register({ redirect_uris: [redirectUri] }, await make({ kinds: ['User'], namespaces: ['*'], verbs: ['*'] }))).status,
      401,
    )
    const made = await register(
      { redirect_uris: [redirectUri] },
      await make({ kinds: ['AuthClient'], namespaces: ['default'], verbs: ['create'] }),
    )
    assert.equal(made.status, 201)
  })

  it('a registered client works, is read and deleted with its own token, and is held to the policy', async () => {
    await test.apply(policy('{ enabled: true, initialAccessToken: false }'))
    const made = await register({
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'client_credentials'],
      response_types: ['code'],
      scope: 'openid email',
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    const { client_id, client_secret, registration_access_token, registration_client_uri } = made.body
    const token = () =>
      fetch(`${test.issuer}/oauth2/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      })
    assert.equal((await token()).status, 200)
    const bearer = { headers: { authorization: `Bearer ${registration_access_token}` } }
    const read = await fetch(registration_client_uri, bearer)
    assert.deepEqual([read.status, ((await read.json()) as { client_id: string }).client_id], [200, client_id])
    assert.equal((await fetch(registration_client_uri, { headers: { authorization: 'Bearer nonsense' } })).status, 401)
    const rows = await test.db.any<{ row: string }>({
      name: 'clients',
      text: 'select r::text as row from registered_clients r',
      values: [],
    })
    assert.equal(
      rows.some(({ row }) => row.includes(client_secret)),
      false,
    )

    await test.apply(policy('{ enabled: true, initialAccessToken: false }').replace(', client_credentials', ''))
    assert.equal((await token()).status, 401)
    await test.apply(policy('{ enabled: true, initialAccessToken: false }'))
    assert.equal((await token()).status, 200)

    assert.equal((await fetch(registration_client_uri, { method: 'DELETE', ...bearer })).status, 204)
    assert.equal((await token()).status, 401)
    assert.equal((await fetch(registration_client_uri, bearer)).status, 401)
  })

  for (const [what, metadata] of [
    ['a grant outside the policy', { redirect_uris: [redirectUri], grant_types: ['implicit'], response_types: ['id_token'] }],
    ['a scope outside the policy', { redirect_uris: [redirectUri], scope: 'openid payments' }],
    ['a redirect address that is none', { redirect_uris: ['not an address'] }],
    ['a redirect address with a fragment', { redirect_uris: [`${redirectUri}#x`] }],
    [
      'a sector that can not be called',
      { redirect_uris: [redirectUri], subject_type: 'pairwise', sector_identifier_uri: 'https://169.254.169.254/x' },
    ],
    ['a body that is no object', '[1,2]'],
    ['a body that is no JSON', '{'],
    ['redirect addresses of the wrong type', { redirect_uris: 'https://client.example/' }],
  ] as const)
    it(`POST /oauth2/register refuses ${what}`, async () => {
      const { status, body } = await register(metadata)
      assert.equal(status, 400, JSON.stringify(body))
      assert.match(String(body.error), /^invalid_(client_metadata|redirect_uri|request)$/)
    })

  it('POST /oauth2/register takes so many from one network, and then says when to come again', async () => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ redirect_uris: [redirectUri] })
    let answer: Response | undefined
    for (let i = 0; i <= lockOut.registrationsPerNetwork && answer?.status !== 429; i++)
      answer = await fetch(`${test.issuer}/oauth2/register`, { method: 'POST', headers, body })
    assert.equal(answer?.status, 429)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
    assert.equal(((await answer.json()) as { error: string }).error, 'temporarily_unavailable')
  })

  it('whoever has the token that is asked for is not counted, but no issuer has clients without number', async () => {
    await test.apply(policy('{ enabled: true }'))
    const scope = { kinds: ['AuthClient'], namespaces: ['default'], verbs: ['create'] }
    const { token } = await createToken(test.db, { name: 'many', user_id: null, scope, expires_at: null }, new Date())
    const ask = () => register({ redirect_uris: [redirectUri] }, token.reveal())
    assert.equal((await ask()).status, 201)
    await test.db.run(sql`
      insert into registered_clients (client_id, issuer, metadata, created_at, updated_at)
      select 'registered.' || i, ${test.issuer}, '{}', ${new Date()}, ${new Date()} from generate_series(1, ${mostRegistered}) i`)
    assert.equal((await ask()).status, 503)
  })

  it('those that nobody uses go, with what was granted to them', async () => {
    const day = 24 * 3_600_000
    const now = new Date()
    const before = (days: number) => new Date(now.getTime() - days * day)
    await test.db.run(sql`delete from registered_clients`)
    const store = (client_id: string, days: number) =>
      storeRegisteredClient(test.db, { client_id, issuer: test.issuer, metadata: {}, sealed_secret: null }, before(days))
    await store('never', 8)
    await store('new', 6)
    await store('idle', 300)
    await useRegisteredClient(test.db, 'idle', before(181))
    await store('used', 300)
    await useRegisteredClient(test.db, 'used', before(179))
    assert.equal(await purgeRegisteredClients(test.db, { neverSince: before(7), notSince: before(180) }, 100), 2)
    const left = await test.db.any<{ client_id: string }>(sql`select client_id from registered_clients order by client_id`)
    assert.deepEqual(
      left.map(({ client_id }) => client_id),
      ['new', 'used'],
    )
  })
})

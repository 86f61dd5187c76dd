import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { authorize, basic, clientManifest, exchange, introspect, post, redirectUri, request, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

describe('what PostgreSQL can not keep, and what is gone', () => {
  let test: TestIssuer
  let ann: Awaited<ReturnType<TestIssuer['signIn']>>
  let client: { client_id: string; client_secret: string }

  before(async () => {
    test = await startIssuer()
    ann = await test.signIn('ann')
    await test.apply(clientManifest('app'))
    client = await test.credentials('app')
    await exchange(test, client, await authorize(test, client, ann.cookie))
  })
  after(() => test.close())

  const challenge = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256', scope: 'openid' }

  it('the authorization endpoint answers a NUL without a 5xx', async () => {
    for (const [name, value] of [
      ['nonce', 'a\0b'],
      ['client_id', 'a\0b'],
      ['redirect_uri', `${redirectUri}\0`],
    ] as const) {
      const { status } = await request(test, client, ann.cookie, { ...challenge, [name]: value })
      assert.ok(status < 500, `${name}: ${status}`)
    }
  })

  it('the token endpoint answers a NUL with a registered error', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie)
    const right = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
    const { status, body } = await token(test, client, { ...right, redirect_uri: `${redirectUri}\0` })
    assert.deepEqual([status, body.error], [400, 'invalid_grant'])
    assert.equal((await token(test, client, right)).status, 200)
  })

  it('pushed and device requests answer a NUL with a registered error', async () => {
    for (const [path, more] of [
      ['par', { ...challenge, response_type: 'code', redirect_uri: redirectUri, state: 'a\0b' }],
      ['device', { scope: 'openid', login_hint: 'a\0b' }],
    ] as const) {
      const { status, body } = await post(`${test.issuer}/oauth2/${path}`, more, basic(client))
      assert.deepEqual([status, body.error], [400, 'invalid_request'], path)
    }
  })

  it('a request does not make a session last longer', async () => {
    const end = new Date(Date.now() + 3_600_000)
    await test.db.run({
      name: 'shorten',
      text: `update sessions set expires_at = $1, last_used_at = now() - interval '1 hour' where uid = $2`,
      values: [end, ann.uid],
    })
    await authorize(test, client, ann.cookie)
    const rows = await test.db.any<{ expires_at: Date; last_used_at: Date }>({
      name: 'ends',
      text: 'select expires_at, last_used_at from sessions where uid = $1',
      values: [ann.uid],
    })
    assert.ok(Math.abs(Number(rows[0]?.expires_at) - end.getTime()) < 2_000, String(rows[0]?.expires_at))
    assert.ok(Date.now() - Number(rows[0]?.last_used_at) < 60_000)
  })

  it('a scope taken from a client is gone from what its grants give, on either way', async () => {
    await test.apply(clientManifest('less'))
    const less = await test.credentials('less')
    const { body } = await exchange(test, less, await authorize(test, less, ann.cookie, { scope: 'openid profile email' }))
    await test.apply(clientManifest('less', '', 'openid, profile'))
    const slow = await token(test, less, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token), unknown: '1' })
    const quick = await token(test, less, { grant_type: 'refresh_token', refresh_token: String(slow.body.refresh_token) })
    assert.deepEqual([slow.body.scope, quick.body.scope], ['openid profile', 'openid profile'])
  })

  it('a token of a client that is gone is not active, and asking about it is no fault', async () => {
    await test.apply(clientManifest('gone'))
    const gone = await test.credentials('gone')
    const { body } = await exchange(test, gone, await authorize(test, gone, ann.cookie))
    assert.equal((await introspect(test, client, body.access_token)).body.active, true)
    await test.remove('AuthClient', 'gone')
    const { status, body: found } = await introspect(test, client, body.access_token)
    assert.deepEqual([status, found], [200, { active: false }])
  })
})

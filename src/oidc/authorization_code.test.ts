import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { authorize, basic, claimsOf, clientManifest, exchange, introspect, post, token, userinfo } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

describe('the authorization code flow', () => {
  let test: TestIssuer
  let client: { client_id: string; client_secret: string }
  let ann: Awaited<ReturnType<TestIssuer['signIn']>>

  before(async () => {
    test = await startIssuer()
    await test.apply(clientManifest('app'))
    client = await test.credentials('app')
    ann = await test.signIn('ann', {
      email: 'ann@example.com',
      name: 'Ann Example',
      attributes: { given_name: 'Ann', phone_number: '+49 1' },
    })
  })
  after(() => test.close())

  it('POST /oauth2/token exchanges a code for a JWT access token (RFC 9068), an ID token and a refresh token', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie, { nonce: 'n-1' })
    const { status, body } = await exchange(test, client, { code, verifier })
    assert.equal(status, 200)
    assert.equal(decodeProtectedHeader(String(body.access_token)).typ, 'at+jwt')
    const access = claimsOf(body.access_token)
    assert.equal(access.iss, test.issuer)
    assert.equal(access.aud, test.issuer)
    assert.equal(access.client_id, client.client_id)
    assert.equal(access.sub, ann.user_id)
    const id = claimsOf(body.id_token)
    assert.deepEqual([id.sub, id.aud, id.nonce, id.acr, id.amr], [ann.user_id, client.client_id, 'n-1', '1fa', ['pwd']])
    assert.equal(typeof body.refresh_token, 'string')
    assert.equal(body.expires_in, 600)
  })

  it('GET /oauth2/userinfo answers what the scopes ask for, and nothing else', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie, { scope: 'openid profile' })
    const { body } = await exchange(test, client, { code, verifier })
    const info = await userinfo(test, body.access_token)
    assert.equal(info.status, 200)
    assert.equal(info.body.sub, ann.user_id)
    assert.equal(info.body.preferred_username, 'ann')
    assert.equal(info.body.given_name, 'Ann')
    assert.equal(info.body.email, undefined)
    assert.equal(info.body.phone_number, undefined)
  })

  it('20 requests at once with one code: one succeeds, and the reuse ends what it got', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie)
    const answers = await Promise.all(Array.from({ length: 20 }, () => exchange(test, client, { code, verifier })))
    const [won, ...others] = answers.filter(({ status }) => status === 200)
    assert.ok(won)
    assert.equal(others.length, 0)
    for (const { status, body } of answers) if (status !== 200) assert.deepEqual([status, body.error], [400, 'invalid_grant'])
    assert.equal((await introspect(test, client, won.body.access_token)).body.active, false)
    assert.equal((await introspect(test, client, won.body.refresh_token)).body.active, false)
  })

  it('20 requests at once with one refresh token: at most one succeeds, and the whole family dies', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie)
    const first = await exchange(test, client, { code, verifier })
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        token(test, client, { grant_type: 'refresh_token', refresh_token: String(first.body.refresh_token) }),
      ),
    )
    const won = answers.filter(({ status }) => status === 200)
    assert.equal(won.length, 1)
    for (const { status, body } of answers) if (status !== 200) assert.deepEqual([status, body.error], [400, 'invalid_grant'])
    const again = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(won[0]?.body.refresh_token) })
    assert.deepEqual([again.status, again.body.error], [400, 'invalid_grant'])
    assert.equal((await userinfo(test, won[0]?.body.access_token)).status, 401)
  })

  it('a refresh token is rotated, and its predecessor kills the family when it comes again', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie)
    const first = await exchange(test, client, { code, verifier })
    const second = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(first.body.refresh_token) })
    assert.equal(second.status, 200)
    assert.notEqual(second.body.refresh_token, first.body.refresh_token)
    assert.equal((await token(test, client, { grant_type: 'refresh_token', refresh_token: String(first.body.refresh_token) })).status, 400)
    assert.equal((await token(test, client, { grant_type: 'refresh_token', refresh_token: String(second.body.refresh_token) })).status, 400)
    const events = await test.db.any<{ data: unknown }>({
      name: 'reuse-events',
      text: `select data from events where action = 'grant.revoked' and target_name = $1`,
      values: [ann.user_id],
    })
    assert.ok(events.length > 0)
  })

  it('ten windows that ask at once, for a client the session knows nothing of yet, all get a code that works', async () => {
    await test.apply(clientManifest('windows'))
    const windows = await test.credentials('windows')
    const eve = await test.signIn('eve')
    const codes = await Promise.all(Array.from({ length: 10 }, () => authorize(test, windows, eve.cookie)))
    for (const code of codes) assert.equal((await exchange(test, windows, code)).status, 200)
  })

  it('stores no code and no token in clear', async () => {
    const { code, verifier } = await authorize(test, client, ann.cookie)
    const { body } = await exchange(test, client, { code, verifier })
    const rows = await test.db.any<{ row: string }>({
      name: 'every-row',
      text: `select c::text as row from authorization_codes c union all select t::text from refresh_tokens t union all select g::text from grants g
             union all select s::text from sessions s union all select i::text from oidc_interactions i`,
      values: [],
    })
    const all = rows.map(({ row }) => row).join('\n')
    for (const secret of [code, String(body.refresh_token), ann.cookie.split('=')[1] ?? '', client.client_secret])
      assert.equal(all.includes(secret), false)
  })

  it('ending the session ends its tokens', async () => {
    const bob = await test.signIn('bob')
    const bound = await exchange(test, client, await authorize(test, client, bob.cookie, { scope: 'openid' }))
    assert.equal((await introspect(test, client, bound.body.access_token)).body.active, true)
    await test.db.run({ name: 'end-session', text: 'delete from sessions where uid = $1', values: [bob.uid] })
    assert.equal((await introspect(test, client, bound.body.access_token)).body.active, false)
    assert.equal((await introspect(test, client, bound.body.refresh_token)).body.active, false)
    assert.equal((await userinfo(test, bound.body.access_token)).status, 401)
  })

  it('a user who is no longer active has no tokens', async () => {
    const dora = await test.signIn('dora')
    const { body } = await exchange(test, client, await authorize(test, client, dora.cookie))
    await test.db.run({ name: 'deactivate', text: 'update users set active = false where user_id = $1', values: [dora.user_id] })
    assert.equal((await introspect(test, client, body.access_token)).body.active, false)
    assert.equal((await token(test, client, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })).status, 400)
  })

  it('POST /oauth2/revoke ends one JWT access token and leaves the refresh token; a revoked refresh token ends all', async () => {
    const { body } = await exchange(test, client, await authorize(test, client, ann.cookie))
    assert.equal((await post(`${test.issuer}/oauth2/revoke`, { token: String(body.access_token) }, basic(client))).status, 200)
    assert.equal((await introspect(test, client, body.access_token)).body.active, false)
    assert.equal((await userinfo(test, body.access_token)).status, 401)
    const second = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })
    assert.equal(second.status, 200)
    assert.equal((await post(`${test.issuer}/oauth2/revoke`, { token: String(second.body.refresh_token) }, basic(client))).status, 200)
    assert.equal((await introspect(test, client, second.body.access_token)).body.active, false)
  })

  it('an opaque access token works at userinfo, introspection and revocation alike', async () => {
    await test.apply(clientManifest('opaque', '  accessTokenFormat: opaque'))
    const opaque = await test.credentials('opaque')
    const { body } = await exchange(test, opaque, await authorize(test, opaque, ann.cookie))
    assert.equal(String(body.access_token).includes('.'), false)
    assert.equal((await userinfo(test, body.access_token)).body.sub, ann.user_id)
    assert.equal((await introspect(test, opaque, body.access_token)).body.active, true)
    await post(`${test.issuer}/oauth2/revoke`, { token: String(body.access_token) }, basic(opaque))
    assert.equal((await introspect(test, opaque, body.access_token)).body.active, false)
  })

  it('POST /oauth2/authorize is answered by a redirect to the same request as GET', async () => {
    const answer = await fetch(`${test.issuer}/oauth2/authorize`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'client_id=x&state=%20%26&scope=openid+email',
    })
    assert.equal(answer.status, 303)
    assert.equal(answer.headers.get('location'), `${test.issuer}/oauth2/authorize?client_id=x&state=+%26&scope=openid+email`)
  })

  it('an access token that another issuer or nobody signed is refused', async () => {
    const { body } = await exchange(test, client, await authorize(test, client, ann.cookie))
    const [header, payload, signature = ''] = String(body.access_token).split('.')
    const forged = [
      header,
      Buffer.from(JSON.stringify({ ...decodeJwt(String(body.access_token)), sub: 'x' })).toString('base64url'),
      signature,
    ]
    for (const value of [forged.join('.'), `${header}.${payload}.`, `${header}.${payload}`, `eyJhbGciOiJub25lIn0.${payload}.`])
      assert.equal((await userinfo(test, value)).status, 401, value.slice(-20))
    assert.equal((await introspect(test, client, forged.join('.'))).body.active, false)
  })
})

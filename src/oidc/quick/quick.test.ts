import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { authorize, basic, claimsOf, clientManifest, exchange, post, redirectUri, request, token } from '../../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../../test/support/issuer.ts'
import { readForm } from './quick.ts'

/** An unknown parameter is ignored by the library and unknown to the quick way: the same request, on the other way. */
const long = { unknown: '1' }

/** Without what differs from answer to answer. */
const shape = (value: unknown): unknown =>
  typeof value === 'string' && value.split('.').length === 3 && value.startsWith('eyJ')
    ? Object.fromEntries(
        Object.entries(claimsOf(value)).map(([name, claim]) => [
          name,
          /^(iat|exp|jti|grant_id|session_uid|auth_time|sid)$/.test(name) ? typeof claim : claim,
        ]),
      )
    : typeof value === 'string' && value.length > 40
      ? 'token'
      : value

const shapeOf = (body: Record<string, unknown>) => Object.fromEntries(Object.entries(body).map(([name, value]) => [name, shape(value)]))

describe('the quick way', () => {
  let test: TestIssuer
  let ann: Awaited<ReturnType<TestIssuer['signIn']>>
  let client: { client_id: string; client_secret: string }

  before(async () => {
    test = await startIssuer()
    ann = await test.signIn('ann', { email: 'ann@example.com', name: 'Ann', attributes: { given_name: 'Ann', address: { country: 'DE' } } })
    await test.apply(
      clientManifest('app', '  backchannelLogoutUri: https://client.example/logout\n  backchannelLogoutSessionRequired: true'),
    )
    client = await test.credentials('app')
    // The first request of a client makes it, on the long way.
    await exchange(test, client, await authorize(test, client, ann.cookie))
  })
  after(() => test.close())

  it('answers client_credentials as the library does', async () => {
    const parameters = { grant_type: 'client_credentials', scope: 'profile email' }
    const quick = await token(test, client, parameters)
    const slow = await token(test, client, { ...parameters, ...long })
    assert.deepEqual([quick.status, slow.status], [200, 200])
    assert.deepEqual(shapeOf(quick.body), shapeOf(slow.body))
  })

  it('answers authorization, code, refresh token, userinfo and introspection as the library does', async () => {
    const both = async (more: Record<string, string>) => {
      const parameters = { scope: 'openid profile email', nonce: 'n' }
      const authorized = await authorize(test, client, ann.cookie, { ...parameters, ...more })
      const first = await token(test, client, {
        grant_type: 'authorization_code',
        code: authorized.code,
        redirect_uri: redirectUri,
        code_verifier: authorized.verifier,
        ...more,
      })
      const second = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(first.body.refresh_token), ...more })
      const introspection = await post(
        `${test.issuer}/oauth2/introspect`,
        { token: String(second.body.access_token), ...more },
        basic(client),
      )
      const info = await fetch(`${test.issuer}/oauth2/userinfo${'unknown' in more ? '?x=1' : ''}`, {
        headers: { authorization: `Bearer ${second.body.access_token}` },
      })
      const { jti, ...found } = introspection.body
      assert.equal(typeof jti, 'string')
      return [shapeOf(first.body), shapeOf(second.body), { ...shapeOf(found), iat: 0, exp: 0 }, info.status, await info.json()]
    }
    assert.deepEqual(await both({}), await both(long))
    // Across: what one way made, the other takes.
    const authorized = await authorize(test, client, ann.cookie, { scope: 'openid profile email', nonce: 'n' })
    const first = await token(test, client, {
      grant_type: 'authorization_code',
      code: authorized.code,
      redirect_uri: redirectUri,
      code_verifier: authorized.verifier,
      ...long,
    })
    const second = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(first.body.refresh_token) })
    const third = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(second.body.refresh_token), ...long })
    assert.deepEqual([first.status, second.status, third.status], [200, 200, 200])
    // What the library stored of a refresh token, and what we did.
    const rows = await test.db.any<{ payload: Record<string, unknown> }>({
      name: 'payloads',
      text: `select payload from refresh_tokens where payload ->> 'grantId' = $1 order by (payload ->> 'rotations')::int`,
      values: [claimsOf(third.body.access_token).grant_id],
    })
    const fields = rows.slice(-3).map(({ payload }) => Object.keys(payload).sort())
    assert.deepEqual(fields[1], fields[0])
    assert.deepEqual(fields[2], fields[0])
  })

  it('redirects as the library does', async () => {
    const parameters = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256', scope: 'openid', state: 'a b&c' }
    const names = async (more: Record<string, string>) => {
      const answer = await request(test, client, ann.cookie, { ...parameters, ...more })
      const url = new URL(answer.headers.get('location') ?? '')
      return [
        answer.status,
        url.origin + url.pathname,
        [...url.searchParams.keys()],
        url.searchParams.get('state'),
        url.searchParams.get('iss'),
      ]
    }
    assert.deepEqual(await names({}), await names(long))
  })

  for (const [what, parameters] of [
    ['another verifier', { code_verifier: 'x'.repeat(43) }],
    ['another address', { redirect_uri: `${redirectUri}/x` }],
    ['a code that is none', { code: 'x'.repeat(43) }],
  ] as const)
    it(`refuses ${what} and leaves the code as it was`, async () => {
      const { code, verifier } = await authorize(test, client, ann.cookie)
      const right = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
      const wrong = await token(test, client, { ...right, ...parameters })
      assert.deepEqual([wrong.status, wrong.body.error], [400, 'invalid_grant'])
      assert.equal((await token(test, client, right)).status, 200)
    })

  it('does not take the code or refresh token of another client', async () => {
    await test.apply(clientManifest('other'))
    const other = await test.credentials('other')
    await exchange(test, other, await authorize(test, other, ann.cookie))
    const { code, verifier } = await authorize(test, client, ann.cookie)
    assert.equal((await exchange(test, other, { code, verifier })).body.error, 'invalid_grant')
    const { body } = await exchange(test, client, { code, verifier })
    const stolen = await token(test, other, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })
    assert.equal(stolen.body.error, 'invalid_grant')
    assert.equal((await token(test, client, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })).status, 200)
  })

  it('a code for a client without refresh tokens gets none', async () => {
    await test.apply(clientManifest('short', '  grantTypes: [authorization_code]'))
    const short = await test.credentials('short')
    await exchange(test, short, await authorize(test, short, ann.cookie))
    const { status, body } = await exchange(test, short, await authorize(test, short, ann.cookie))
    assert.deepEqual([status, body.refresh_token], [200, undefined])
  })

  it('reads forms strictly', () => {
    assert.deepEqual(
      [...(readForm('a=1&b=%20+x') ?? [])],
      [
        ['a', '1'],
        ['b', '  x'],
      ],
    )
    for (const text of ['a=1&a=2', 'a=', 'a', '=1', 'a=%', 'a=%ff', '&']) assert.equal(readForm(text), undefined, text)
  })
})

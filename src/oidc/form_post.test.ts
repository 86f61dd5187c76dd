import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { basic, claimsOf, clientManifest, cookiesOf, post, redirectUri, request, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import type { ClientCredentials } from '../../test/support/oauth.ts'

const verifier = 'x'.repeat(43)
/** Of the verifier. */
const code_challenge = 'zAscLGbzu5_RoIHGJrob72L2-WRBpDvhUmhSN3asJqE'

const fieldsOf = (html: string) =>
  Object.fromEntries([...html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map(([, name, value]) => [name, value]))

const strict = (answer: Response, html: string, scripts: RegExp | undefined) => {
  const policy = answer.headers.get('content-security-policy') ?? ''
  for (const part of ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
    assert.ok(policy.includes(part), `${part} in ${policy}`)
  assert.equal(policy.includes("script-src 'self'"), scripts !== undefined)
  assert.doesNotMatch(policy, /unsafe|sha256/)
  assert.deepEqual(
    ['x-frame-options', 'cache-control', 'x-content-type-options'].map((name) => answer.headers.get(name)),
    ['DENY', 'no-store', 'nosniff'],
  )
  const found = [...html.matchAll(/<script[^>]*>([^<]*)/g)]
  assert.deepEqual(
    found.map(([, inline]) => inline),
    scripts ? [''] : [],
  )
  if (scripts) assert.match(html, scripts)
}
const ownScript = /<script src="\/static\/form_post\.[\w-]+\.js"><\/script>/

describe('pages in the place of the library’s', () => {
  let test: TestIssuer
  let cookie: string
  let client: ClientCredentials

  before(async () => {
    test = await startIssuer()
    await test.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: default, namespace: default, labels: { signet.dev/auth-server: default } }
spec: { allowedGrantTypes: [authorization_code, device_code] }
`)
    await test.apply(clientManifest('app', '  grantTypes: [authorization_code, device_code]'))
    client = await test.credentials('app')
    ;({ cookie } = await test.signIn('ann', { email: 'ann@example.com' }))
  })
  after(() => test.close())

  const ask = async (parameters: Record<string, string>, as = cookie) => {
    const answer = await request(test, client, as, { code_challenge, code_challenge_method: 'S256', scope: 'openid', ...parameters })
    return { answer, html: await answer.text() }
  }

  it('response_mode=form_post is a form that works without scripts, and no other place is told of the code', async () => {
    const { answer, html } = await ask({ response_mode: 'form_post', state: 'a"><script>alert(1)</script>' })
    assert.equal(answer.status, 200)
    strict(answer, html, ownScript)
    assert.match(html, new RegExp(`<form method="post" action="${redirectUri}"`))
    assert.match(html, /<button class="first" type="submit">Continue/)
    assert.match(html, /<h1>Back to Client app/)
    const { code, iss, state, ...rest } = fieldsOf(html)
    assert.deepEqual([iss, state, rest], [test.issuer, 'a&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;', {}])
    const got = await token(test, client, {
      grant_type: 'authorization_code',
      code: String(code),
      redirect_uri: redirectUri,
      code_verifier: verifier,
    })
    assert.equal(got.status, 200, JSON.stringify(got.body))
  })

  it('response_mode=form_post.jwt posts one signed response', async () => {
    const { answer, html } = await ask({ response_mode: 'form_post.jwt' })
    assert.equal(answer.status, 200)
    strict(answer, html, ownScript)
    const { response, ...rest } = fieldsOf(html)
    const claims = claimsOf(response)
    assert.deepEqual(
      [claims.iss, claims.aud, claims.state, typeof claims.code, rest],
      [test.issuer, client.client_id, 'state', 'string', {}],
    )
  })

  for (const response_mode of ['form_post', 'form_post.jwt'])
    it(`an error goes the same way: ${response_mode}`, async () => {
      const { answer, html } = await ask({ response_mode, prompt: 'none' }, '')
      assert.equal(answer.status, 400)
      strict(answer, html, ownScript)
      const fields = fieldsOf(html)
      assert.equal(response_mode === 'form_post' ? fields.error : claimsOf(fields.response).error, 'login_required')
    })

  it('an address that is not the client’s is posted nothing', async () => {
    const { answer, html } = await ask({ response_mode: 'form_post', redirect_uri: 'https://evil.example/' })
    assert.equal(answer.status, 400)
    strict(answer, html, undefined)
    assert.doesNotMatch(html, /<form|evil/)
  })

  it('it is in the language of the person', async () => {
    const { html } = await ask({ response_mode: 'form_post', ui_locales: 'de' })
    assert.match(html, /Zurück zu Client app/)
  })

  it('where nobody is signed in, the end of a session is posted on by the same page', async () => {
    const answer = await fetch(`${test.issuer}/oauth2/end-session?${new URLSearchParams({ client_id: client.client_id })}`)
    const html = await answer.text()
    assert.equal(answer.status, 200)
    strict(answer, html, ownScript)
    const action = /<form method="post" action="([^"]+)"/.exec(html)?.[1] ?? assert.fail(html)
    const done = await fetch(action, {
      method: 'POST',
      headers: { cookie: cookiesOf(answer) },
      body: new URLSearchParams(fieldsOf(html) as Record<string, string>),
    })
    assert.equal(done.status, 200)
    assert.match(await done.text(), /You are signed out/)
  })

  const visit = async (path: string, user_code: string) => {
    const answer = await fetch(`${test.issuer}${path}?${new URLSearchParams({ user_code })}`, { headers: { cookie } })
    return { answer, html: await answer.text() }
  }

  it('verification_uri_complete fills in the code, and only sending the form goes on', async () => {
    const { body } = await post(`${test.issuer}/oauth2/device`, { scope: 'openid' }, basic(client))
    const answer = await fetch(String(body.verification_uri_complete), { headers: { cookie } })
    const html = await answer.text()
    assert.equal(answer.status, 200)
    strict(answer, html, undefined)
    assert.match(html, new RegExp(`<input class="code" id="user_code" name="user_code" type="text" value="${body.user_code}"`))
    assert.match(html, /Connect a device/)
    const sent = await fetch(String(body.verification_uri), {
      method: 'POST',
      headers: { cookie: `${cookie}; ${cookiesOf(answer)}` },
      body: new URLSearchParams({ ...(fieldsOf(html) as Record<string, string>), user_code: String(body.user_code) }),
    })
    assert.match(await sent.text(), /Connect Client app\?/)
  })

  it('a code that is none is text in the field, however the address is spelled', async () => {
    for (const path of ['/oauth2/device/verify', '/oauth2/device/verify/', '/oauth2/Device/Verify']) {
      const { answer, html } = await visit(path, `"><script>alert(1)</script>${'x'.repeat(500)}`)
      assert.equal(answer.status, 200)
      strict(answer, html, undefined)
      assert.doesNotMatch(html, /x{20}/)
    }
  })
})

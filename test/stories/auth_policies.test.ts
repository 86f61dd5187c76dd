/** What an AuthPolicy demands of a sign-in: second factors of some types, and how long a device is remembered. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, claimsOf, exchange, makeClient } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'

const policyManifest = (name: string, client: string, authentication: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: ${name}, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
  clientSelector: { matchLabels: { app: ${client} } }
  authentication: ${authentication}
`

describe('an AuthPolicy demands of sign-ins', () => {
  let signet: Signet
  let bank: ClientCredentials
  let wiki: ClientCredentials

  before(async () => {
    signet = await startSignet()
    wiki = await makeClient(signet, 'wiki', '  consent: implicit')
    bank = await makeClient(signet, 'bank', '  consent: implicit')
    await signet.api('PATCH', '/api/v1/namespaces/default/authclients/bank', { metadata: { labels: { app: 'bank' } } })
    await signet.apply(policyManifest('bank', 'bank', '{ requiredFactors: [totp, webauthn] }'))
  })
  after(() => signet.stop())

  const makeUser = async (username: string): Promise<string> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username })
    assert.equal(made.status, 201, made.text)
    assert.equal((await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })).status < 300, true)
    return made.body.id
  }
  const enter = async (visitor: Visitor, username: string): Promise<Page> =>
    walk(visitor, await visitor.open(`${signet.issuer}/flow/authentication?next=/account`), { username, password })
  const addTotp = async (visitor: Visitor): Promise<string> => {
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    await visitor.submit(offered, { code: totpCode(app) })
    return app
  }
  const addRecoveryCodes = async (visitor: Visitor): Promise<string[]> => {
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_static`)
    await visitor.submit(offered)
    return [...offered.html.matchAll(/<code>([^<]+)<\/code>/g)].map((match) => match[1] ?? '')
  }
  /** A code of the next time step: that of this one is used. */
  const nextCode = (app: string) => totpCode(app, new Date(Date.now() + 30_000))
  const at = (client: ClientCredentials, more: Record<string, string> = {}) =>
    authorizeUrl(signet, client, { scope: 'openid profile email', ...more })

  describe('a second factor of some types', () => {
    it('which is asked beyond a session that has none, and then no more', async () => {
      await makeUser('ada')
      const visitor = newVisitor(signet.issuer)
      await enter(visitor, 'ada')
      const app = await addTotp(visitor)
      assert.ok((await visitor.open(at(wiki).url)).left?.searchParams.get('code'), 'another client asks nothing more')
      const started = at(bank)
      const asked = await visitor.open(started.url)
      assert.deepEqual(asked.forms[0]?.names, ['code'], asked.text)
      const page = await visitor.submit(asked, { code: nextCode(app) })
      const code = page.left?.searchParams.get('code') ?? assert.fail(`${page.left} ${page.text}`)
      const claims = claimsOf((await exchange(signet, bank, { ...started, code })).body.id_token)
      assert.deepEqual([claims.acr, claims.amr], ['2fa', ['pwd', 'otp', 'mfa']])
      assert.ok((await visitor.open(at(bank).url)).left?.searchParams.get('code'), 'what was proven is not asked again')
      assert.ok((await visitor.open(at(bank, { prompt: 'none' }).url)).left?.searchParams.get('code'))
    })

    it('and one of another type does not count, however the session came to it', async () => {
      await makeUser('bea')
      const visitor = newVisitor(signet.issuer)
      await enter(visitor, 'bea')
      const app = await addTotp(visitor)
      const codes = await addRecoveryCodes(visitor)
      const other = newVisitor(signet.issuer)
      const signedIn = await other.submit(await enter(other, 'bea'), { code: codes[0] ?? '' })
      assert.equal(new URL(signedIn.url).pathname, '/account')
      const none = await other.open(at(bank, { prompt: 'none' }).url)
      assert.equal(none.left?.searchParams.get('error'), 'interaction_required')
      const asked = await other.open(at(bank).url)
      assert.deepEqual(asked.forms[0]?.names, ['code'], asked.text)
      const refused = await other.submit(asked, { code: codes[1] ?? '' })
      assert.equal(refused.status, 400, 'a recovery code is none of the types')
      const page = await other.submit(refused, { code: nextCode(app) })
      assert.ok(page.left?.searchParams.get('code'), page.text)
    })

    it('is refused with unmet_authentication_requirements to whoever has none, without any loop', async () => {
      await makeUser('cid')
      const visitor = newVisitor(signet.issuer)
      const refused = await walk(visitor, await visitor.open(at(bank).url), { username: 'cid', password })
      assert.equal(refused.left?.searchParams.get('error'), 'unmet_authentication_requirements', refused.text)
      await enter(visitor, 'cid')
      await addRecoveryCodes(visitor)
      const again = await visitor.open(at(bank).url)
      assert.equal(again.left?.searchParams.get('error'), 'unmet_authentication_requirements', again.text)
    })

    it('of which only those count that every policy lists, as the status says', async () => {
      await signet.apply(policyManifest('bank-keys', 'bank', '{ requiredFactors: [webauthn, email] }'))
      type Shown = { status: { effectivePolicy: { authentication?: object } } }
      const { body } = await signet.api<Shown>('GET', '/api/v1/namespaces/default/authclients/bank')
      assert.deepEqual(body.status.effectivePolicy.authentication, { acr: '2fa', requiredFactors: ['webauthn'] })
      await makeUser('dan')
      const visitor = newVisitor(signet.issuer)
      await enter(visitor, 'dan')
      await addTotp(visitor)
      const refused = await visitor.open(at(bank).url)
      assert.equal(refused.left?.searchParams.get('error'), 'unmet_authentication_requirements', refused.text)
      assert.equal((await signet.api('DELETE', '/api/v1/namespaces/default/authpolicies/bank-keys')).status, 204)
    })

    it('refuses a manifest that lists none, twice the same, or an unknown one', async () => {
      for (const wrong of ['[]', '[totp, totp]', '[sms]']) {
        const answer = await signet.api('POST', '/api/v1/apply', policyManifest('wrong', 'bank', `{ requiredFactors: ${wrong} }`))
        assert.equal(answer.status, 422, `${wrong} ${answer.text}`)
        assert.match(answer.text, /\/spec\/authentication\/requiredFactors/)
      }
    })
  })
})

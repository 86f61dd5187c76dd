import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { authorize, clientManifest, exchange, request, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

const application = (name: string, access: string) => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default }
spec:
  displayName: Wiki
  authServerRef: { name: default }
  authClientRef: { name: wiki }
  launchUrl: https://wiki.example.com
  access: ${access}
`

const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }

describe('who may use an application', () => {
  let test: TestIssuer
  let client: { client_id: string; client_secret: string }
  let ann: Awaited<ReturnType<TestIssuer['signIn']>>
  let ben: Awaited<ReturnType<TestIssuer['signIn']>>

  const refusalOf = async (cookie: string): Promise<string | null> => {
    const answer = await request(test, client, cookie, challenge)
    return new URL(answer.headers.get('location') ?? '', test.issuer).searchParams.get('error')
  }

  before(async () => {
    test = await startIssuer()
    await test.apply(clientManifest('wiki'))
    client = await test.credentials('wiki')
    ann = await test.signIn('ann', {})
    ben = await test.signIn('ben', {})
    // Both have a session, a grant and a consent that is remembered.
    for (const { cookie } of [ann, ben, ann, ben]) await authorize(test, client, cookie)
  })
  after(() => test.close())

  it('keeps out whom the application does not name, even with a live session and a remembered consent', async () => {
    await test.apply(application('wiki', '{ users: [Ann] }'))
    await authorize(test, client, ann.cookie)
    assert.equal(await refusalOf(ben.cookie), 'access_denied')
  })

  it('asks every application of the client', async () => {
    await test.apply(application('second', '{ when: user.username.startsWith("b") }'))
    assert.equal(await refusalOf(ann.cookie), 'access_denied')
    assert.equal(await refusalOf(ben.cookie), 'access_denied')
  })

  it('refuses when the expression fails', async () => {
    await test.apply(`${application('wiki', '{ when: user.attributes.clearance > 3 }')}---${application('second', '{}')}`)
    assert.equal(await refusalOf(ann.cookie), 'access_denied')
  })

  it('tells prompt=none the same, without a page', async () => {
    const answer = await request(test, client, ann.cookie, { ...challenge, prompt: 'none' })
    assert.equal(new URL(answer.headers.get('location') ?? '').searchParams.get('error'), 'access_denied')
  })

  it('ends what someone holds who is kept out since: codes and refresh tokens give nothing', async () => {
    await test.apply(`${application('wiki', '{}')}---${application('second', '{}')}`)
    const { code, verifier } = await authorize(test, client, ben.cookie)
    const { body: held } = await exchange(test, client, await authorize(test, client, ben.cookie))
    await test.apply(application('wiki', '{ users: [ann] }'))
    const refreshed = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(held.refresh_token) })
    assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant'])
    assert.equal((await exchange(test, client, { code, verifier })).body.error, 'invalid_grant')
    const own = await exchange(test, client, await authorize(test, client, ann.cookie))
    assert.equal((await token(test, client, { grant_type: 'refresh_token', refresh_token: String(own.body.refresh_token) })).status, 200)
  })

  it('asks where someone is when they sign in, and not of the application that refreshes', async () => {
    await test.apply(application('wiki', `{ when: 'network == "127.0.0.1" || network == "::1"' }`))
    const { body: held } = await exchange(test, client, await authorize(test, client, ann.cookie))
    await test.apply(application('wiki', `{ when: 'network == "203.0.113.9"' }`))
    assert.equal(await refusalOf(ann.cookie), 'access_denied')
    assert.equal((await token(test, client, { grant_type: 'refresh_token', refresh_token: String(held.refresh_token) })).status, 200)
  })
})

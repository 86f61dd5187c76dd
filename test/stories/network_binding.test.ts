/** A session that is good only in the network in which it began: user_login `networkBinding`. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newVisitor } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, makeClient } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

const password = 'quiet harbour lantern 7'
const home = '198.51.100.7'
const elsewhere = '198.51.100.8'

const flow = (binding: string) => `
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: authentication, namespace: default }
spec:
  designation: authentication
  stages: [{ stage: identification }, { stage: password }, { stage: user_login, networkBinding: ${binding} }]
`

describe('a session bound to its network', () => {
  let signet: Signet
  let client: ClientCredentials
  before(async () => {
    signet = await startSignet({ settings: { TRUSTED_PROXIES: '127.0.0.0/8 ::1/128' } })
    client = await makeClient(signet, 'wiki', '  consent: implicit')
    const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'ada' })
    await signet.api('POST', `/api/v1/users/${body.id}/password`, { password })
  })
  after(() => signet.stop())

  /** Value of the session's cookie. */
  const signIn = async (network: string): Promise<string> => {
    const visitor = newVisitor(signet.issuer)
    const call = async (method: 'GET' | 'POST', body?: object) => {
      const answer = await visitor.request(`${signet.issuer}/api/v1/flows/authentication`, {
        method,
        headers: { 'x-forwarded-for': network, ...(body ? { 'content-type': 'application/json', origin: signet.issuer } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      return (await answer.json()) as { attempt: string; stage: string }
    }
    const { attempt } = await call('GET')
    await call('POST', { attempt, stage: 'identification', username: 'ada' })
    assert.equal((await call('POST', { attempt, stage: 'password', password })).stage, 'done')
    return visitor.cookies.get('signet_session') ?? assert.fail('nobody is signed in')
  }
  const from = (network: string, session: string, path: string) =>
    fetch(new URL(path, signet.issuer), {
      redirect: 'manual',
      headers: { 'x-forwarded-for': network, cookie: `signet_session=${session}` },
    })
  const isSignedIn = async (network: string, session: string) => {
    const [api, portal] = await Promise.all([from(network, session, '/api/v1/me'), from(network, session, '/account')])
    assert.deepEqual([api.status, portal.status], api.status === 200 ? [200, 200] : [401, 303])
    return api.status === 200
  }
  const hasCode = async (network: string, session: string) => {
    const { url } = authorizeUrl(signet, client, { scope: 'openid profile email' })
    const location = (await from(network, session, url)).headers.get('location') ?? ''
    return new URL(location, signet.issuer).searchParams.has('code')
  }

  it('is one anywhere when it is not bound', async () => {
    const session = await signIn(home)
    assert.deepEqual([await isSignedIn(home, session), await isSignedIn(elsewhere, session)], [true, true])
    assert.deepEqual([await hasCode(home, session), await hasCode(elsewhere, session)], [true, true])
  })

  it('is none from elsewhere, for the portal, REST and clients, and goes on at home', async () => {
    await signet.apply(flow('network'))
    const session = await signIn(home)
    assert.equal(await isSignedIn(home, session), true)
    assert.equal(await isSignedIn(elsewhere, session), false)
    assert.equal(await hasCode(elsewhere, session), false, 'before a client has a grant in it')
    assert.equal(await hasCode(home, session), true)
    assert.equal(await hasCode(elsewhere, session), false, 'and after that')
    assert.deepEqual([await isSignedIn(home, session), await hasCode(home, session)], [true, true], 'it has not ended')
  })

  it('goes along within the /64 of an IPv6 network', async () => {
    const session = await signIn('2001:db8:1:2::7')
    assert.equal(await isSignedIn('2001:db8:1:2:ffff::9', session), true)
    assert.equal(await isSignedIn('2001:db8:1:3::7', session), false)
    assert.equal(await isSignedIn(home, session), false)
  })

  it('stays bound as it was when the flow changes, until the next sign-in', async () => {
    const session = await signIn(home)
    await signet.apply(flow('none'))
    assert.equal(await isSignedIn(elsewhere, session), false)
    assert.equal(await isSignedIn(elsewhere, await signIn(home)), true)
    const answer = await signet.api('POST', '/api/v1/apply', flow('country'))
    assert.equal(answer.status, 422, answer.text)
  })
})

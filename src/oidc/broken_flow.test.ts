/** A flow that is named and not there, or that signs nobody in: the client is told, nobody runs in circles, and an operator learns of it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { showAttempt } from '#/flow/executor.ts'
import { getFlow } from '#/flow/flows.ts'
import { openPasswordHasher } from '#/identity/passwords.ts'
import { systemClock } from '#/lib/clock.ts'
import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { sql } from '#/lib/sql.ts'
import { clientManifest, cookiesOf, request } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }

describe('an authorization request whose flow is broken', () => {
  const passwords = openPasswordHasher()
  let test: TestIssuer
  before(async () => {
    test = await startIssuer()
    await test.apply(clientManifest('wiki'))
  })
  after(async () => {
    await passwords.close()
    await test.close()
  })

  const useFlow = (name: string) =>
    test.apply(`
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: wiki, namespace: default }
spec:
  displayName: Wiki
  authServerRef: { name: default }
  authClientRef: { name: wiki }
  launchUrl: https://wiki.example.com
  flows: { authentication: ${name} }
`)
  const get = (location: string, cookie: string) => fetch(new URL(location, test.issuer), { redirect: 'manual', headers: { cookie } })
  /** Back through the provider, to the client. */
  const errorAfter = async (answer: Response, cookie: string) => {
    const resumed = await get(answer.headers.get('location') ?? '', cookie)
    return new URL(resumed.headers.get('location') ?? '', test.issuer).searchParams.get('error')
  }
  const errors = async () =>
    (await test.db.one<{ count: number }>(sql`select count(*)::int as count from events where action = 'configuration.error'`)).count

  it('is answered when there is no such flow', async () => {
    await useFlow('nowhere')
    const begun = await request(test, await test.credentials('wiki'), '', challenge)
    const cookie = cookiesOf(begun)
    const answer = await get(begun.headers.get('location') ?? '', cookie)
    assert.equal(answer.status, 303)
    assert.equal(await errorAfter(answer, cookie), 'server_error')
    assert.equal(await errors(), 1)
  })

  it('is answered when the flow ends without a session', async () => {
    await test.apply(`
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: silent, namespace: default }
spec: { designation: authentication, stages: [{ stage: redirect, to: /account }] }
`)
    await useFlow('silent')
    const begun = await request(test, await test.credentials('wiki'), '', challenge)
    const interaction = begun.headers.get('location') ?? ''
    const asked = await get(interaction, cookiesOf(begun))
    const attempt = new URL(asked.headers.get('location') ?? '', test.issuer).searchParams.get('attempt') ?? ''
    const [, browser = ''] = /signet_flow=([^;]+)/.exec(cookiesOf(asked)) ?? []
    const { db, snapshot, rootSecret } = test
    const deps = { db, snapshot, rootSecret, passwords, log: openLog('silent'), clock: systemClock, settings: readSettings({}) }
    const authServer = { namespace: 'default', name: 'default', issuerUrl: test.issuer, pathPrefix: '' }
    const from = { authServer, browser, session: undefined, network: '192.0.2.1', userAgent: undefined, requestId: 'test', locales: [] }
    const step = await showAttempt(deps, { flow: getFlow(deps, authServer, 'silent'), attempt, request: from, now: new Date() })
    assert.equal(step.kind, 'done')
    const cookie = `${cookiesOf(begun)}; ${cookiesOf(asked)}`
    const answer = await get(interaction, cookie)
    assert.equal(await errorAfter(answer, cookie), 'server_error')
    assert.equal(await errors(), 2)
  })
})

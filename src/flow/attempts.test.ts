/** How a protocol sends a person through a flow and finds what came of it, and what becomes of sessions. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { listSessions } from '#/identity/sessions.ts'
import { type FlowSite, form, openFlowSite, password } from '../../test/support/flow_site.ts'
import { newVisitor } from '../../test/support/http.ts'
import { beginAttempt, findOutcome } from './attempts.ts'

let on: FlowSite
before(async () => {
  on = await openFlowSite()
})
after(() => on.stop())

test('a protocol begins an attempt and finds its outcome, in that browser only', async () => {
  const visitor = newVisitor(on.site)
  const asked = { flow: 'authentication', reference: 'interaction-1', authServer: on.authServer }
  const begun = await beginAttempt(
    on.flowDeps,
    {
      ...asked,
      next: '/back',
      context: { client: { client_id: 'wiki', name: 'Wiki <b>' }, login_hint: 'ann', ui_locales: ['de'] },
      cookies: undefined,
    },
    on.time.now,
  )
  const cookie = begun.setCookie?.split(';')[0] ?? assert.fail('a cookie is set')
  const outcome = (cookies: string | undefined) => findOutcome(on.flowDeps, { ...asked, cookies }, on.time.now)
  assert.deepEqual(await outcome(cookie), { state: 'running' })
  assert.equal(await outcome(undefined), undefined)
  assert.equal(await outcome('signet_flow=other'), undefined)
  const headers = { cookie }
  const page = await visitor.open(`${on.site}${begun.location}`, { headers })
  assert.match(page.html, /<html lang="de">/)
  assert.match(page.html, /Wiki &lt;b&gt;/)
  assert.match(page.text, /Harbour ID/)
  assert.equal(form(page).fields.username, 'ann')
  assert.equal(page.forms.length, 2, 'declining is a form of its own after it')
  const declined = await on.post(visitor, '/flow/authentication', { ...form(page, 1).fields }, headers)
  assert.equal(declined.status, 303)
  assert.equal(declined.headers.get('location'), '/back')
  assert.deepEqual(await outcome(cookie), { state: 'denied', reason: 'access_denied' })
})

test('consent is given by the person it is asked of, and by nobody else', async () => {
  const context = {
    client: { client_id: 'wiki', name: 'Wiki' },
    user: { user_id: on.ann, name: 'Ann Archer' },
    scopes: ['openid', 'payments'],
    claims: [],
    resources: {},
  }
  for (const [username, expected] of [
    ['ann', 'passed'],
    ['bob', 'denied'],
  ] as const) {
    const visitor = newVisitor(on.site)
    await on.signIn(visitor, username, password)
    const cookies = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const asked = { flow: 'authorization', reference: `consent-${username}`, authServer: on.authServer, cookies }
    const begun = await beginAttempt(on.flowDeps, { ...asked, next: '/back', context }, on.time.now)
    const page = await visitor.open(on.site + begun.location)
    if (expected === 'passed') {
      assert.match(page.text, /know who you are use “payments” for you/)
      const back = await visitor.submit(page)
      assert.equal(new URL(back.url).pathname, '/back')
    }
    const outcome = await findOutcome(on.flowDeps, asked, on.time.now)
    assert.equal(outcome?.state, expected)
    if (outcome?.state === 'passed') assert.deepEqual(outcome.facts.consent, { scopes: ['openid', 'payments'], claims: [], resources: {} })
  }
})

test('signing in again goes on with the same session under a new token; another person begins their own', async () => {
  const visitor = newVisitor(on.site)
  await on.signIn(visitor, 'ann', password)
  const first = visitor.cookies.get('signet_session')
  const before = await listSessions(on.db, on.ann, {}, on.time.now)
  await on.signIn(visitor, 'ann', password)
  assert.notEqual(visitor.cookies.get('signet_session'), first)
  const again = await listSessions(on.db, on.ann, {}, on.time.now)
  assert.deepEqual(again.items.map(({ id }) => id).sort(), before.items.map(({ id }) => id).sort())
  await on.signIn(visitor, 'bob', password)
  assert.equal((await listSessions(on.db, on.ann, {}, on.time.now)).items.length, before.items.length - 1)
})

test('signing out asks, and then ends the session', async () => {
  const visitor = newVisitor(on.site)
  await on.signIn(visitor, 'bob', password)
  const page = await visitor.open(`${on.site}/flow/invalidation?next=/bye`)
  assert.equal(page.status, 200)
  assert.ok(visitor.cookies.get('signet_session'))
  const end = await visitor.submit(page)
  assert.equal(new URL(end.url).pathname, '/bye')
  assert.equal(visitor.cookies.get('signet_session'), undefined)
  const again = await visitor.open(`${on.site}/flow/invalidation?next=/bye`)
  assert.equal(new URL(again.url).pathname, '/bye')
})

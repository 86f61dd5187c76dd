import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { fastify } from 'fastify'
import { openPasswordHasher, setPassword } from '#/identity/passwords.ts'
import { listSessions } from '#/identity/sessions.ts'
import { createUser, updateUser } from '#/identity/users.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import { type AuthServerRef, setCaller } from '#/lib/http.ts'
import { openLog } from '#/lib/log.ts'
import { sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { openFlowDeps } from '../../test/support/flow.ts'
import { newVisitor, type Page, type Visitor } from '../../test/support/http.ts'
import { beginAttempt, findOutcome } from './attempts.ts'
import { openPages } from './pages.ts'
import { flowRoutes } from './routes.ts'

const passwords = openPasswordHasher()
const log = openLog('silent')
const password = 'correct horse battery'
let clock = new Date('2026-11-23T12:00:00Z')
let fresh: FreshDatabase
let site: string
let authServer: AuthServerRef
let stop: () => Promise<void>
let ann: string
let flowDeps: Awaited<ReturnType<typeof openFlowDeps>>

before(async () => {
  fresh = await freshDatabase()
  const { db } = fresh
  flowDeps = await openFlowDeps(db)
  const app = fastify()
  await app.register(flowRoutes({ ...flowDeps, passwords, clock: () => clock, pages: openPages({ log }) }))
  await app.ready()
  const server = createServer((request, response) => {
    // Each test is a network of its own, unless it says otherwise.
    const network = String(request.headers['x-test-network'] ?? '192.0.2.1')
    setCaller(request, { network, requestId: 'test', authServer })
    app.routing(request, response)
  }).listen(0)
  site = `http://localhost:${(server.address() as AddressInfo).port}`
  authServer = { namespace: 'default', name: 'default', issuerUrl: site, pathPrefix: '', displayName: 'Harbour ID' }
  const by = { actor: 'test' }
  ann = (await createUser(db, { username: 'ann', email: 'ann@example.com', name: 'Ann Archer' }, by, clock)).id
  await setPassword({ db, passwords }, ann, password, { ...by, rules: defaultPasswordRules }, clock)
  const bob = await createUser(db, { username: 'bob' }, by, clock)
  await setPassword({ db, passwords }, bob.id, password, { ...by, rules: defaultPasswordRules }, clock)
  stop = async () => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
    await app.close()
    flowDeps.snapshot.close()
    await passwords.close()
    await fresh.drop()
  }
})
after(() => stop())

const form = (page: Page, index = 0) => page.forms[index] ?? assert.fail(`there is no form ${index}: ${page.text}`)

const signIn = async (visitor: Visitor, username: string, secret: string, address = '/flow/authentication?next=/after'): Promise<Page> => {
  const first = await visitor.open(site + address)
  assert.equal(first.status, 200)
  const second = await visitor.submit(first, { username })
  assert.equal(second.status, 200, second.text)
  return visitor.submit(second, { password: secret })
}

const post = (visitor: Visitor, path: string, body: Record<string, string> | string, headers: Record<string, string> = {}) =>
  visitor.request(site + path, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof body === 'string' ? body : new URLSearchParams(body).toString(),
  })

const json = async (visitor: Visitor, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await visitor.request(site + path, {
    ...(body === undefined ? {} : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
    redirect: 'manual',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: (text ? JSON.parse(text) : {}) as Record<string, unknown> & { attempt: string },
  }
}

test('a person signs in by pages and comes back to next with a session', async () => {
  const visitor = newVisitor(site)
  const page = await visitor.open(`${site}/flow/authentication?next=/after%3Fa=1`)
  assert.deepEqual(form(page).names, ['username'])
  assert.deepEqual(form(page).buttons.length, 1)
  assert.equal(new URL(form(page).action).pathname, '/flow/authentication')
  assert.equal(page.forms.length, 1, 'nobody to decline to')
  const second = await visitor.submit(page, { username: 'ANN@example.com' })
  assert.deepEqual(form(second).names.includes('password'), true)
  const end = await visitor.submit(second, { password })
  assert.equal(new URL(end.url).pathname + new URL(end.url).search, '/after?a=1')
  assert.ok(visitor.cookies.get('signet_session'))
  const { items } = await listSessions(fresh.db, ann, {}, clock)
  assert.equal(items[0]?.acr, '1fa')
  assert.deepEqual(items[0]?.amr, ['pwd'])
})

test('the same sign-in by JSON', async () => {
  const visitor = newVisitor(site)
  const first = await json(visitor, '/api/v1/flows/authentication?next=/somewhere')
  assert.equal(first.status, 200)
  const { attempt, passkey, ...rest } = first.body
  assert.equal((passkey as { rpId: string }).rpId, 'localhost')
  assert.deepEqual(
    { attempt, ...rest },
    {
      attempt,
      flow: 'authentication',
      stage: 'identification',
      fields: [{ name: 'username', type: 'text', label: 'Name or e-mail', required: true, value: '' }],
      errors: [],
    },
  )
  const second = await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'ann' })
  assert.equal(second.body.stage, 'password')
  const wrong = await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password: 'no' })
  assert.equal(wrong.status, 400)
  assert.match(wrong.headers.get('content-type') ?? '', /^application\/problem\+json/)
  assert.deepEqual(wrong.body.errors, [{ pointer: '/password', detail: 'The name or the password is wrong.' }])
  assert.equal(wrong.body.stage, 'password')
  assert.equal((wrong.body.challenge as { stage: string }).stage, 'password')
  const done = await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password })
  assert.equal(done.status, 200)
  assert.deepEqual(done.body, { stage: 'done', next: '/somewhere' })
  assert.match(done.headers.getSetCookie().join('\n'), /signet_session=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax/)
})

test('an unknown, an inactive and a known name with a wrong password get the same answer', async () => {
  await updateUser(
    fresh.db,
    (await createUser(fresh.db, { username: 'gone' }, { actor: 'test' }, clock)).id,
    { active: false },
    { actor: 'test' },
    clock,
  )
  const seen: unknown[] = []
  for (const username of ['ann', 'nobody-at-all', 'gone']) {
    const visitor = newVisitor(site)
    const { attempt } = (await json(visitor, '/api/v1/flows/authentication')).body
    await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username })
    const { status, body } = await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password: 'wrong password' })
    seen.push(JSON.parse(JSON.stringify({ status, body }).replaceAll(attempt, 'ATTEMPT')))
  }
  assert.deepEqual(seen[1], seen[0])
  assert.deepEqual(seen[2], seen[0])
})

test('next is a path of ours; anything else becomes /', async () => {
  for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example', 'javascript:alert(1)', '']) {
    const visitor = newVisitor(site)
    const { attempt } = (await json(visitor, `/api/v1/flows/authentication?next=${encodeURIComponent(next)}`)).body
    await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'ann' })
    const { body } = await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password })
    assert.deepEqual(body, { stage: 'done', next: '/' }, next)
  }
})

test('a flow refuses what is not its own', async (t) => {
  const visitor = newVisitor(site)
  const begin = async () => (await json(visitor, '/api/v1/flows/authentication')).body.attempt
  const flow = '/api/v1/flows/authentication'
  const answer = async () => ({ attempt: await begin(), stage: 'identification', username: 'ann' })

  await t.test('404 an unknown flow', async () => {
    assert.equal((await json(visitor, '/api/v1/flows/nonsense')).status, 404)
    assert.equal((await json(visitor, '/api/v1/flows/__proto__')).status, 404)
    assert.equal((await visitor.open(`${site}/flow/nonsense`)).status, 404)
    assert.equal((await json(visitor, '/api/v1/flows/nonsense', await answer())).status, 404)
  })
  await t.test('403 another origin', async () => {
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      assert.equal((await json(visitor, flow, await answer(), headers as Record<string, string>)).status, 403)
      assert.equal((await post(visitor, '/flow/authentication', await answer(), headers as Record<string, string>)).status, 403)
    }
  })
  await t.test('415 another content type', async () => {
    assert.equal((await json(visitor, flow, await answer(), { 'content-type': 'text/plain' })).status, 415)
    assert.equal((await json(visitor, flow, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })).status, 415)
    assert.equal((await post(visitor, '/flow/authentication', '{}', { 'content-type': 'application/json' })).status, 415)
    assert.equal((await visitor.request(`${site}${flow}`, { method: 'POST', redirect: 'manual' })).status, 415)
  })
  await t.test('413 too large', async () => {
    assert.equal((await json(visitor, flow, { ...(await answer()), more: 'x'.repeat(20_000) })).status, 413)
    assert.equal((await post(visitor, '/flow/authentication', { ...(await answer()), more: 'x'.repeat(20_000) })).status, 413)
  })
  await t.test('400 what cannot be read', async () => {
    for (const body of [
      '{',
      '[]',
      'null',
      '"a"',
      '{}',
      JSON.stringify({ ...(await answer()), username: 5 }),
      JSON.stringify({ ...(await answer()), username: ['ann'] }),
    ])
      assert.equal((await json(visitor, flow, body)).status, 400, body)
    const { attempt } = await answer()
    for (const body of [
      '',
      'attempt=a',
      `attempt=${attempt}&stage=identification&username=a&username=b`,
      `attempt=${attempt}&stage=identification&username=%ff`,
      '%',
    ])
      assert.equal((await post(visitor, '/flow/authentication', body)).status, 400, body)
  })
  await t.test('400 with the challenge what is no name', async () => {
    for (const username of ['', '   ', 'a'.repeat(300), 'a\u0000b', 'a\nb']) {
      const { status, body } = await json(visitor, flow, { ...(await answer()), username })
      assert.equal(status, 400)
      assert.equal(body.stage, 'identification')
      assert.equal((body.errors as { pointer: string }[])[0]?.pointer, '/username')
    }
  })
  await t.test('409 an unknown attempt, and one of another flow', async () => {
    assert.equal((await json(visitor, flow, { ...(await answer()), attempt: 'x'.repeat(43) })).status, 409)
    assert.equal((await json(visitor, '/api/v1/flows/authorization', await answer())).status, 409)
  })
  await t.test("409 another browser's attempt", async () => {
    const other = newVisitor(site)
    assert.equal((await json(other, flow, await answer())).status, 409)
    await json(other, flow)
    assert.equal((await json(other, flow, await answer())).status, 409)
    assert.equal((await other.open(`${site}/flow/authentication?attempt=${await begin()}`)).status, 409)
  })
  await t.test('409 another stage: reordered and replayed', async () => {
    const first = await answer()
    assert.equal((await json(visitor, flow, { ...first, stage: 'password', password })).status, 409)
    assert.equal((await json(visitor, flow, { ...first, stage: 'user_login' })).status, 409)
    assert.equal((await json(visitor, flow, first)).status, 200)
    assert.equal((await json(visitor, flow, first)).status, 409)
    assert.equal((await json(visitor, flow, { ...first, stage: 'password', password })).status, 200)
    assert.equal((await json(visitor, flow, { ...first, stage: 'password', password })).status, 409)
    assert.equal((await visitor.open(`${site}/flow/authentication?attempt=${first.attempt}`)).status, 409)
  })
  await t.test('409 an expired attempt', async () => {
    const first = await answer()
    clock = new Date(clock.getTime() + 31 * 60_000)
    assert.equal((await json(visitor, flow, first)).status, 409)
  })
})

test('of posts at the same time one wins', async () => {
  const visitor = newVisitor(site)
  const { attempt } = (await json(visitor, '/api/v1/flows/authentication')).body
  await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'bob' })
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password })),
  )
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409, 409, 409])
  const { count } = await fresh.db.one<{ count: string }>(
    sql`select count(*) from sessions s join users u using (user_id) where u.username = ${'bob'}`,
  )
  assert.equal(Number(count), 1)
})

test('after ten wrong passwords a name is locked out, known or not, and is free again after a quarter of an hour', async () => {
  for (const [index, username] of ['ann', 'nobody'].entries()) {
    const visitor = newVisitor(site)
    const network = { 'x-test-network': `198.51.100.${index}` }
    const { attempt } = (await json(visitor, '/api/v1/flows/authentication')).body
    const answer = { attempt, stage: 'password', password: 'wrong' }
    await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username })
    clock = new Date(clock.getTime() + 16 * 60_000)
    for (let i = 0; i < 10; i++) assert.equal((await json(visitor, '/api/v1/flows/authentication', answer, network)).status, 400)
    const { status, headers, body } = await json(visitor, '/api/v1/flows/authentication', { ...answer, password }, network)
    assert.equal(status, 429)
    assert.equal(headers.get('retry-after'), '900')
    assert.equal(body.stage, 'password')
    const page = await visitor.open(`${site}/flow/authentication?attempt=${attempt}`)
    const refused = await visitor.submit(page, { password })
    assert.equal(refused.status, 429)
    assert.ok(refused.headers.get('retry-after'))
  }
  clock = new Date(clock.getTime() + 15 * 60_000 + 1_000)
  const page = await signIn(newVisitor(site), 'ann', password)
  assert.equal(new URL(page.url).pathname, '/after')
})

test('of many passwords tried at once none succeeds after the tenth failure', async () => {
  clock = new Date(clock.getTime() + 16 * 60_000)
  const visitor = newVisitor(site)
  const { attempt } = (await json(visitor, '/api/v1/flows/authentication')).body
  await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'ann' })
  const guesses = [...Array.from({ length: 40 }, (_, i) => `guess ${i}`), password]
  const answers = await Promise.all(
    guesses.map((guess) => json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password: guess })),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 0)
  clock = new Date(clock.getTime() + 16 * 60_000)
})

test('fifty wrong passwords lock a network out, whatever the names', async () => {
  const network = { 'x-test-network': '203.0.113.9' }
  const visitor = newVisitor(site)
  const attemptFor = async (username: string) => {
    const { attempt } = (await json(visitor, '/api/v1/flows/authentication')).body
    await json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username })
    return { attempt, stage: 'password', password: 'wrong' }
  }
  for (let i = 0; i < 10; i++) {
    const answer = await attemptFor(`someone ${i}`)
    for (let j = 0; j < 5; j++) assert.equal((await json(visitor, '/api/v1/flows/authentication', answer, network)).status, 400)
  }
  const answer = { ...(await attemptFor('ann')), password }
  assert.equal((await json(visitor, '/api/v1/flows/authentication', answer, network)).status, 429)
  assert.equal((await json(visitor, '/api/v1/flows/authentication', answer)).status, 200)
})

test('a protocol begins an attempt and finds its outcome, in that browser only', async () => {
  const visitor = newVisitor(site)
  const asked = { flow: 'authentication', reference: 'interaction-1', authServer }
  const begun = await beginAttempt(
    flowDeps,
    {
      ...asked,
      next: '/back',
      context: { client: { client_id: 'wiki', name: 'Wiki <b>' }, login_hint: 'ann', ui_locales: ['de'] },
      cookies: undefined,
    },
    clock,
  )
  const cookie = begun.setCookie?.split(';')[0] ?? assert.fail('a cookie is set')
  const outcome = (cookies: string | undefined) => findOutcome(flowDeps, { ...asked, cookies }, clock)
  assert.deepEqual(await outcome(cookie), { state: 'running' })
  assert.equal(await outcome(undefined), undefined)
  assert.equal(await outcome('signet_flow=other'), undefined)
  const headers = { cookie }
  const page = await visitor.open(`${site}${begun.location}`, { headers })
  assert.match(page.html, /<html lang="de">/)
  assert.match(page.html, /Wiki &lt;b&gt;/)
  assert.match(page.text, /Harbour ID/)
  assert.equal(form(page).fields.username, 'ann')
  assert.equal(page.forms.length, 2, 'declining is a form of its own after it')
  const declined = await post(visitor, '/flow/authentication', { ...form(page, 1).fields }, headers)
  assert.equal(declined.status, 303)
  assert.equal(declined.headers.get('location'), '/back')
  assert.deepEqual(await outcome(cookie), { state: 'denied', reason: 'access_denied' })
})

test('consent is given by the person it is asked of, and by nobody else', async () => {
  const context = {
    client: { client_id: 'wiki', name: 'Wiki' },
    user: { user_id: ann, name: 'Ann Archer' },
    scopes: ['openid', 'payments'],
    claims: [],
    resources: {},
  }
  for (const [username, expected] of [
    ['ann', 'passed'],
    ['bob', 'denied'],
  ] as const) {
    const visitor = newVisitor(site)
    await signIn(visitor, username, password)
    const cookies = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const asked = { flow: 'authorization', reference: `consent-${username}`, authServer, cookies }
    const begun = await beginAttempt(flowDeps, { ...asked, next: '/back', context }, clock)
    const page = await visitor.open(site + begun.location)
    if (expected === 'passed') {
      assert.match(page.text, /know who you are use “payments” for you/)
      const back = await visitor.submit(page)
      assert.equal(new URL(back.url).pathname, '/back')
    }
    const outcome = await findOutcome(flowDeps, asked, clock)
    assert.equal(outcome?.state, expected)
    if (outcome?.state === 'passed') assert.deepEqual(outcome.facts.consent, { scopes: ['openid', 'payments'], claims: [], resources: {} })
  }
})

test('signing in again goes on with the same session under a new token; another person begins their own', async () => {
  const visitor = newVisitor(site)
  await signIn(visitor, 'ann', password)
  const first = visitor.cookies.get('signet_session')
  const before = await listSessions(fresh.db, ann, {}, clock)
  await signIn(visitor, 'ann', password)
  assert.notEqual(visitor.cookies.get('signet_session'), first)
  const again = await listSessions(fresh.db, ann, {}, clock)
  assert.deepEqual(again.items.map(({ id }) => id).sort(), before.items.map(({ id }) => id).sort())
  await signIn(visitor, 'bob', password)
  assert.equal((await listSessions(fresh.db, ann, {}, clock)).items.length, before.items.length - 1)
})

test('signing out asks, and then ends the session', async () => {
  const visitor = newVisitor(site)
  await signIn(visitor, 'bob', password)
  const page = await visitor.open(`${site}/flow/invalidation?next=/bye`)
  assert.equal(page.status, 200)
  assert.ok(visitor.cookies.get('signet_session'))
  const end = await visitor.submit(page)
  assert.equal(new URL(end.url).pathname, '/bye')
  assert.equal(visitor.cookies.get('signet_session'), undefined)
  const again = await visitor.open(`${site}/flow/invalidation?next=/bye`)
  assert.equal(new URL(again.url).pathname, '/bye')
})

test('a person starts over with another name', async () => {
  const visitor = newVisitor(site)
  const first = await visitor.open(`${site}/flow/authentication`)
  const second = await visitor.submit(first, { username: 'anne' })
  const again = await visitor.submit(second, {}, 1)
  assert.deepEqual(form(again).names, ['username'])
})

test('pages are small, work without scripts, and keep to a strict policy', async () => {
  const visitor = newVisitor(site)
  const page = await visitor.open(`${site}/flow/authentication`)
  const script =
    /<script src="(\/static\/passkey\.[^"]+\.js)" defer><\/script>/.exec(page.html)?.[1] ?? assert.fail('the script of passkeys')
  assert.equal((await visitor.request(site + script)).headers.get('cache-control'), 'public, max-age=31536000, immutable')
  const next = await visitor.submit(page, { username: 'ann' })
  assert.doesNotMatch(next.html, /<script/)
  assert.doesNotMatch(next.headers.get('content-security-policy') ?? '', /script-src/)
  const stylesheet = /href="(\/static\/[^"]+)"/.exec(page.html)?.[1] ?? assert.fail('a stylesheet')
  const css = await visitor.request(site + stylesheet)
  assert.equal(css.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  assert.ok(Buffer.byteLength(page.html) + Buffer.byteLength(await css.text()) < 12_000)
  assert.doesNotMatch(page.html, /<style| style=| on[a-z]+=/)
  const policy = page.headers.get('content-security-policy') ?? ''
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
    assert.ok(policy.includes(part), part)
  assert.equal(page.headers.get('cache-control'), 'no-store')
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(page.headers.get('referrer-policy'), 'same-origin')
})

test('the language is the one chosen, else the one the browser asks for', async () => {
  const visitor = newVisitor(site, { acceptLanguage: 'fr;q=0.9, de-AT;q=0.8, en;q=0.1' })
  const page = await visitor.open(`${site}/flow/authentication`)
  assert.match(page.text, /Name oder E-Mail/)
  const attempt = form(page).fields.attempt
  assert.match((await visitor.open(`${site}/flow/authentication?attempt=${attempt}&ui_locales=en`)).text, /Name or e-mail/)
  assert.match((await visitor.open(`${site}/flow/authentication?attempt=${attempt}`)).text, /Name or e-mail/)
})

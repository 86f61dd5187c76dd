/** What pages and JSON answer, right and wrong. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { listSessions } from '#/identity/sessions.ts'
import { createUser, updateUser } from '#/identity/users.ts'
import { sql } from '#/lib/sql.ts'
import { type FlowSite, form, openFlowSite, password } from '../../test/support/flow_site.ts'
import { newVisitor } from '../../test/support/http.ts'

let on: FlowSite
before(async () => {
  on = await openFlowSite()
})
after(() => on.stop())

test('a person signs in by pages and comes back to next with a session', async () => {
  const visitor = newVisitor(on.site)
  const page = await visitor.open(`${on.site}/flow/authentication?next=/after%3Fa=1`)
  assert.deepEqual(form(page).names, ['username'])
  assert.deepEqual(form(page).buttons.length, 1)
  assert.equal(new URL(form(page).action).pathname, '/flow/authentication')
  assert.equal(page.forms.length, 1, 'nobody to decline to')
  const second = await visitor.submit(page, { username: 'ANN@example.com' })
  assert.deepEqual(form(second).names.includes('password'), true)
  const end = await visitor.submit(second, { password })
  assert.equal(new URL(end.url).pathname + new URL(end.url).search, '/after?a=1')
  assert.ok(visitor.cookies.get('signet_session'))
  const { items } = await listSessions(on.db, on.ann, {}, on.time.now)
  assert.equal(items[0]?.acr, '1fa')
  assert.deepEqual(items[0]?.amr, ['pwd'])
})

test('the same sign-in by JSON', async () => {
  const visitor = newVisitor(on.site)
  const first = await on.json(visitor, '/api/v1/flows/authentication?next=/somewhere')
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
  const second = await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'ann' })
  assert.equal(second.body.stage, 'password')
  const wrong = await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password: 'no' })
  assert.equal(wrong.status, 400)
  assert.match(wrong.headers.get('content-type') ?? '', /^application\/problem\+json/)
  assert.deepEqual(wrong.body.errors, [{ pointer: '/password', detail: 'The name or the password is wrong.' }])
  assert.equal(wrong.body.stage, 'password')
  assert.equal((wrong.body.challenge as { stage: string }).stage, 'password')
  const done = await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password })
  assert.equal(done.status, 200)
  assert.deepEqual(done.body, { stage: 'done', next: '/somewhere' })
  assert.match(done.headers.getSetCookie().join('\n'), /signet_session=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax/)
})

test('an unknown, an inactive and a known name with a wrong password get the same answer', async () => {
  await updateUser(
    on.db,
    (await createUser(on.db, { username: 'gone' }, { actor: 'test' }, on.time.now)).id,
    { active: false },
    { actor: 'test' },
    on.time.now,
  )
  const seen: unknown[] = []
  for (const username of ['ann', 'nobody-at-all', 'gone']) {
    const visitor = newVisitor(on.site)
    const { attempt } = (await on.json(visitor, '/api/v1/flows/authentication')).body
    await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username })
    const { status, body } = await on.json(visitor, '/api/v1/flows/authentication', {
      attempt,
      stage: 'password',
      password: 'wrong password',
    })
    seen.push(JSON.parse(JSON.stringify({ status, body }).replaceAll(attempt, 'ATTEMPT')))
  }
  assert.deepEqual(seen[1], seen[0])
  assert.deepEqual(seen[2], seen[0])
})

test('next is a path of ours; anything else becomes /', async () => {
  for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example', 'javascript:alert(1)', '']) {
    const visitor = newVisitor(on.site)
    const { attempt } = (await on.json(visitor, `/api/v1/flows/authentication?next=${encodeURIComponent(next)}`)).body
    await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'ann' })
    const { body } = await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password })
    assert.deepEqual(body, { stage: 'done', next: '/' }, next)
  }
})

test('a flow refuses what is not its own', async (t) => {
  const visitor = newVisitor(on.site)
  const begin = async () => (await on.json(visitor, '/api/v1/flows/authentication')).body.attempt
  const flow = '/api/v1/flows/authentication'
  const answer = async () => ({ attempt: await begin(), stage: 'identification', username: 'ann' })

  await t.test('404 an unknown flow', async () => {
    assert.equal((await on.json(visitor, '/api/v1/flows/nonsense')).status, 404)
    assert.equal((await on.json(visitor, '/api/v1/flows/__proto__')).status, 404)
    assert.equal((await visitor.open(`${on.site}/flow/nonsense`)).status, 404)
    assert.equal((await on.json(visitor, '/api/v1/flows/nonsense', await answer())).status, 404)
  })
  await t.test('403 another origin', async () => {
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      assert.equal((await on.json(visitor, flow, await answer(), headers as Record<string, string>)).status, 403)
      assert.equal((await on.post(visitor, '/flow/authentication', await answer(), headers as Record<string, string>)).status, 403)
    }
  })
  await t.test('415 another content type', async () => {
    assert.equal((await on.json(visitor, flow, await answer(), { 'content-type': 'text/plain' })).status, 415)
    assert.equal((await on.json(visitor, flow, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })).status, 415)
    assert.equal((await on.post(visitor, '/flow/authentication', '{}', { 'content-type': 'application/json' })).status, 415)
    assert.equal((await visitor.request(`${on.site}${flow}`, { method: 'POST', redirect: 'manual' })).status, 415)
  })
  await t.test('413 too large', async () => {
    assert.equal((await on.json(visitor, flow, { ...(await answer()), more: 'x'.repeat(20_000) })).status, 413)
    assert.equal((await on.post(visitor, '/flow/authentication', { ...(await answer()), more: 'x'.repeat(20_000) })).status, 413)
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
      assert.equal((await on.json(visitor, flow, body)).status, 400, body)
    const { attempt } = await answer()
    for (const body of [
      '',
      'attempt=a',
      `attempt=${attempt}&stage=identification&username=a&username=b`,
      `attempt=${attempt}&stage=identification&username=%ff`,
      '%',
    ])
      assert.equal((await on.post(visitor, '/flow/authentication', body)).status, 400, body)
  })
  await t.test('400 with the challenge what is no name', async () => {
    for (const username of ['', '   ', 'a'.repeat(300), 'a\u0000b', 'a\nb']) {
      const { status, body } = await on.json(visitor, flow, { ...(await answer()), username })
      assert.equal(status, 400)
      assert.equal(body.stage, 'identification')
      assert.equal((body.errors as { pointer: string }[])[0]?.pointer, '/username')
    }
  })
  await t.test('409 an unknown attempt, and one of another flow', async () => {
    assert.equal((await on.json(visitor, flow, { ...(await answer()), attempt: 'x'.repeat(43) })).status, 409)
    assert.equal((await on.json(visitor, '/api/v1/flows/authorization', await answer())).status, 409)
  })
  await t.test("409 another browser's attempt", async () => {
    const other = newVisitor(on.site)
    assert.equal((await on.json(other, flow, await answer())).status, 409)
    await on.json(other, flow)
    assert.equal((await on.json(other, flow, await answer())).status, 409)
    assert.equal((await other.open(`${on.site}/flow/authentication?attempt=${await begin()}`)).status, 409)
  })
  await t.test('409 another stage: reordered and replayed', async () => {
    const first = await answer()
    assert.equal((await on.json(visitor, flow, { ...first, stage: 'password', password })).status, 409)
    assert.equal((await on.json(visitor, flow, { ...first, stage: 'user_login' })).status, 409)
    assert.equal((await on.json(visitor, flow, first)).status, 200)
    assert.equal((await on.json(visitor, flow, first)).status, 409)
    assert.equal((await on.json(visitor, flow, { ...first, stage: 'password', password })).status, 200)
    assert.equal((await on.json(visitor, flow, { ...first, stage: 'password', password })).status, 409)
    assert.equal((await visitor.open(`${on.site}/flow/authentication?attempt=${first.attempt}`)).status, 409)
  })
  await t.test('409 an expired attempt', async () => {
    const first = await answer()
    on.pass(31 * 60_000)
    assert.equal((await on.json(visitor, flow, first)).status, 409)
  })
})

test('of posts at the same time one wins', async () => {
  const visitor = newVisitor(on.site)
  const { attempt } = (await on.json(visitor, '/api/v1/flows/authentication')).body
  await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'bob' })
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password })),
  )
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409, 409, 409])
  const { count } = await on.db.one<{ count: string }>(
    sql`select count(*) from sessions s join users u using (user_id) where u.username = ${'bob'}`,
  )
  assert.equal(Number(count), 1)
})

test('a person starts over with another name', async () => {
  const visitor = newVisitor(on.site)
  const first = await visitor.open(`${on.site}/flow/authentication`)
  const second = await visitor.submit(first, { username: 'anne' })
  const again = await visitor.submit(second, {}, 1)
  assert.deepEqual(form(again).names, ['username'])
})

test('pages are small, work without scripts, and keep to a strict policy', async () => {
  const visitor = newVisitor(on.site)
  const page = await visitor.open(`${on.site}/flow/authentication`)
  const script =
    /<script src="(\/static\/passkey\.[^"]+\.js)" defer><\/script>/.exec(page.html)?.[1] ?? assert.fail('the script of passkeys')
  assert.equal((await visitor.request(on.site + script)).headers.get('cache-control'), 'public, max-age=31536000, immutable')
  const next = await visitor.submit(page, { username: 'ann' })
  assert.doesNotMatch(next.html, /<script/)
  assert.doesNotMatch(next.headers.get('content-security-policy') ?? '', /script-src/)
  const stylesheet = /href="(\/static\/[^"]+)"/.exec(page.html)?.[1] ?? assert.fail('a stylesheet')
  const css = await visitor.request(on.site + stylesheet)
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
  const visitor = newVisitor(on.site, { acceptLanguage: 'fr;q=0.9, de-AT;q=0.8, en;q=0.1' })
  const page = await visitor.open(`${on.site}/flow/authentication`)
  assert.match(page.text, /Name oder E-Mail/)
  const attempt = form(page).fields.attempt
  assert.match((await visitor.open(`${on.site}/flow/authentication?attempt=${attempt}&ui_locales=en`)).text, /Name or e-mail/)
  assert.match((await visitor.open(`${on.site}/flow/authentication?attempt=${attempt}`)).text, /Name or e-mail/)
})

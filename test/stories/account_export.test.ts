/** A person takes their own data with them: all that is theirs, nothing that is a secret or another's. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { openBrowser, openContext } from '../support/browser.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { needs } from '../support/needs.ts'
import { exchange, makeClient, signIn } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { totpCode } from '../support/totp.ts'

interface Export {
  exportedAt: string
  issuer: string
  profile: Record<string, unknown> & { username: string }
  groups: string[]
  sessions: { id: string; isCurrent: boolean; network: string }[]
  factors: { type: string; name: string }[]
  consents: { clientId: string }[]
  applications: { name: string; url: string }[]
  events: { action: string; actor: string | null; network: string | null; changes: Record<string, unknown> | null }[]
}

const password = 'quiet harbour lantern 7'

describe('own data', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: calendar, namespace: default }
spec:
  displayName: Team calendar
  authServerRef: { name: default, namespace: default }
  launchUrl: https://client.example/
`)
  })
  after(() => signet.stop())

  const makeUser = async (username: string, more: object = {}): Promise<string> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, email: `${username}@example.com`, ...more })
    assert.equal(made.status, 201, made.text)
    await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    return made.body.id
  }
  const enter = async (username: string, path = '/account'): Promise<{ visitor: Visitor; page: Page }> => {
    const visitor = newVisitor(signet.issuer)
    return { visitor, page: await walk(visitor, await visitor.open(path), { username, password }) }
  }
  const download = async (visitor: Visitor): Promise<Export & { text: string }> => {
    const answer = await visitor.request('/api/v1/me/export')
    const text = await answer.text()
    assert.equal(answer.status, 200, text)
    return { ...(JSON.parse(text) as Export), text }
  }

  test('is all that there is of a person, as a file', async () => {
    await signet.api('POST', '/api/v1/groups', { name: 'all' })
    await signet.api('POST', '/api/v1/groups', { name: 'crew', parents: ['all'] })
    await makeUser('ann', { name: 'Ann Archer', groups: ['crew'], attributes: { deck: 'two' } })
    const client = await makeClient(signet, 'wiki')
    const signedIn = await signIn(signet, client, { username: 'ann', password })
    await exchange(signet, client, signedIn)
    const { visitor } = await enter('ann')
    const offered = await visitor.open('/flow/authenticator_totp')
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    await visitor.submit(offered, { code: totpCode(app, new Date()), name: 'Phone' })
    const page = await visitor.open('/account')
    assert.match(page.html, /href="\/account\/export"/)
    const led = await visitor.request('/account/export')
    assert.deepEqual([led.status, led.headers.get('location')], [303, '/api/v1/me/export'])
    const answer = await visitor.request('/api/v1/me/export')
    assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8')
    assert.equal(answer.headers.get('content-disposition'), 'attachment; filename="account.json"')
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.equal(answer.headers.get('content-length'), null, 'it is streamed')
    await answer.body?.cancel()
    const own = await download(visitor)
    assert.deepEqual([own.issuer, own.profile.username, own.profile.name], [signet.issuer, 'ann', 'Ann Archer'])
    assert.deepEqual(own.profile.attributes, { deck: 'two' })
    assert.deepEqual(own.groups.toSorted(), ['all', 'crew'])
    assert.equal(own.sessions.length, 2)
    assert.equal(own.sessions.filter(({ isCurrent }) => isCurrent).length, 1)
    assert.deepEqual(
      own.factors.map(({ type, name }) => [type, name]),
      [['totp', 'Phone']],
    )
    assert.deepEqual(
      own.consents.map(({ clientId }) => clientId),
      [client.client_id],
    )
    assert.ok(own.applications.some(({ name, url }) => name === 'Team calendar' && url === 'https://client.example/'))
    const actions = own.events.map(({ action }) => action)
    for (const action of ['user.created', 'sign_in.succeeded', 'factor.added', 'session.started', 'account.exported'])
      assert.ok(actions.includes(action), action)
    const secret = new URL(app).searchParams.get('secret') ?? assert.fail()
    for (const hidden of [password, '$argon2', secret, visitor.cookies.get('signet_session') ?? '', client.client_secret])
      assert.ok(!own.text.includes(hidden))
  })

  test('tells of who else did something to the account that it was somebody else, and not from where', async () => {
    const id = await makeUser('ben')
    await signet.api('PATCH', `/api/v1/users/${id}`, { name: 'Ben' })
    const { visitor } = await enter('ben')
    const { events } = await download(visitor)
    const byAdmin = events.find(({ action }) => action === 'user.updated')
    assert.deepEqual([byAdmin?.actor, byAdmin?.network], [null, null])
    assert.ok(byAdmin?.changes && '/name' in byAdmin.changes)
    const byThem = events.find(({ action }) => action === 'sign_in.succeeded')
    assert.equal(byThem?.actor, 'ben')
    assert.ok(byThem?.network)
  })

  test('goes on through a new username, and holds nothing of who had a name before', async () => {
    const first = await makeUser('cleo', { name: 'the first', email: null })
    await signet.api('PATCH', `/api/v1/users/${first}`, { username: 'cleo-anew' })
    const second = await makeUser('cleo', { name: 'the second', email: null })
    await signet.api('DELETE', `/api/v1/users/${second}`)
    const third = await makeUser('cleo', { name: 'the third', email: null })
    await signet.api('PATCH', `/api/v1/users/${third}`, { name: 'still the third' })
    const [renamed, own] = await Promise.all([
      enter('cleo-anew').then(({ visitor }) => download(visitor)),
      enter('cleo').then(({ visitor }) => download(visitor)),
    ])
    assert.ok(!own.text.includes('the first') && !own.text.includes('the second'))
    assert.equal(own.events.filter(({ action }) => action === 'user.created').length, 1)
    assert.ok(renamed.text.includes('the first'), 'what happened under the name before is theirs')
    assert.ok(!renamed.text.includes('the second') && !renamed.text.includes('the third'))
    await signet.api('PATCH', `/api/v1/users/${third}`, { username: 'cleo-gone' })
    await signet.api('PATCH', `/api/v1/users/${first}`, { username: 'cleo' })
    const back = await enter('cleo').then(({ visitor }) => download(visitor))
    assert.ok(back.text.includes('the first') && !back.text.includes('the third'))
  })

  test('is the last so many events, the newest first', async () => {
    await makeUser('dan')
    await signet.database.db.run(sql`
      insert into events (event_id, time, action, severity, actor, target_kind, target_name)
      select gen_random_uuid(), now() + i * interval '1 millisecond', 'sign_in.failed', 'warning', 'dan', 'User', 'dan'
        from generate_series(1, 6000) as i`)
    const { events } = await download((await enter('dan')).visitor)
    assert.equal(events.length, 5_000)
  })

  test('is given to a person who has signed in lately, and to nobody else', async () => {
    await makeUser('eva')
    const { visitor } = await enter('eva')
    await signet.database.db.run(sql`
      update sessions set payload = payload || jsonb_build_object('loginTs', (payload ->> 'loginTs')::bigint - 901)
       where user_id = (select user_id from users where username = 'eva')`)
    assert.equal((await visitor.request('/api/v1/me/export')).status, 401)
    const led = await visitor.request('/account/export')
    assert.equal(led.status, 303)
    assert.match(led.headers.get('location') ?? '', /^\/flow\/authentication\?.*next=%2Faccount$/)
    assert.equal((await newVisitor(signet.issuer).request('/api/v1/me/export')).status, 401)
    assert.equal((await signet.api('GET', '/api/v1/me/export')).status, 401, 'a token is no person')
  })

  test('comes as a download in Chromium, and the page stays', needs('chromium'), async () => {
    await makeUser('fay')
    const browser = await openBrowser()
    try {
      const { context, complaints } = await openContext(browser, { javaScript: false, origins: [signet.issuer] })
      const page = await context.newPage()
      await page.goto(`${signet.issuer}/account`)
      await page.fill('[name=username]', 'fay')
      await page.click('button[type=submit]')
      await page.fill('[name=password]', password)
      await page.click('button[type=submit]')
      await page.waitForURL('**/account')
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('a[href="/account/export"]')])
      assert.equal(download.suggestedFilename(), 'account.json')
      const chunks: Buffer[] = []
      for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer)
      assert.equal((JSON.parse(Buffer.concat(chunks).toString()) as Export).profile.username, 'fay')
      assert.equal(new URL(page.url()).pathname, '/account')
      assert.deepEqual(complaints, [])
    } finally {
      await browser.close()
    }
  })
})

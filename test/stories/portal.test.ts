import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, exchange, makeClient, refresh, signIn } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

describe('the portal', () => {
  let signet: Signet
  let client: ClientCredentials
  before(async () => {
    signet = await startSignet()
    client = await makeClient(signet, 'calendar')
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: calendar, namespace: default }
spec:
  displayName: Team calendar
  authServerRef: { name: default, namespace: default }
  authClientRef: { name: calendar, namespace: default }
  launchUrl: https://client.example/
`)
  })
  after(() => signet.stop())

  let count = 0
  /** A person of their own for each test. */
  const newPerson = async () => {
    const username = `person-${++count}`
    const password = `password of ${username}`
    const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username,
      name: `Person ${count}`,
      email: `${username}@example.com`,
    })
    await signet.api('POST', `/api/v1/users/${body.id}/password`, { password })
    return { username, password, id: body.id }
  }
  const enter = async (
    { username, password }: { username: string; password: string },
    path = '/',
  ): Promise<{ visitor: Visitor; page: Page }> => {
    const visitor = newVisitor(signet.issuer)
    const page = await walk(visitor, await visitor.open(path), { username, password })
    return { visitor, page }
  }
  const isSignedIn = async (visitor: Visitor) => (await visitor.request('/api/v1/me')).status === 200
  const formWith = (page: Page, field: string) =>
    page.forms.findIndex((form) => field in form.fields || form.buttons.some(({ name }) => name === field))

  test('asks who is not signed in, and leads back to the page that was wanted', async () => {
    const person = await newPerson()
    const { page } = await enter(person, '/account/sessions')
    assert.equal(new URL(page.url).pathname, '/account/sessions')
    assert.match(page.text, /Person \d+/)
  })

  test('shows the applications, and /api/v1/me who it is and how they signed in', async () => {
    const person = await newPerson()
    const { visitor, page } = await enter(person)
    assert.match(page.text, /Team calendar/)
    assert.match(page.html, /href="https:\/\/client\.example\/"/)
    const me = (await (await visitor.request('/api/v1/me')).json()) as Record<string, unknown> & { session: Record<string, unknown> }
    assert.equal(me.username, person.username)
    assert.equal(me.session.acr, '1fa')
    assert.deepEqual(me.session.amr, ['pwd'])
    assert.ok(me.session.authTime)
  })

  test('lists sessions and ends one of them, or all others', async () => {
    const person = await newPerson()
    const [one, two, three] = await Promise.all([enter(person), enter(person), enter(person)])
    let page = await one.visitor.open('/account/sessions')
    const ends = page.forms.filter((form) => 'session' in form.fields)
    assert.equal(ends.length, 2, 'the session one looks from is not offered')
    page = await one.visitor.submit(page, {}, formWith(page, 'session'))
    assert.equal(page.status, 200)
    const left = await Promise.all([one, two, three].map(({ visitor }) => isSignedIn(visitor)))
    assert.deepEqual(left.toSorted(), [false, true, true])
    assert.equal(left[0], true)
    page = await one.visitor.submit(page, {}, formWith(page, 'others'))
    assert.deepEqual(await Promise.all([one, two, three].map(({ visitor }) => isSignedIn(visitor))), [true, false, false])
  })

  test('shows this browser first however many signed in after it, and ends all others from any page', async () => {
    const person = await newPerson()
    const { visitor } = await enter(person)
    await signet.database.db.run(sql`
      insert into sessions (uid, token_hash, user_id, issuer, payload, user_agent, network, created_at, last_used_at, expires_at)
      select 'later-' || i, sha256(convert_to('later ' || s.uid || i, 'UTF8')), s.user_id,
             case when i = 24 then 'https://other.example/people' else s.issuer end, s.payload || jsonb_build_object('uid', 'later-' || i),
             'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '203.0.113.' || i,
             s.created_at + i * interval '1 second', s.created_at + i * interval '2 seconds', s.expires_at
        from sessions s, generate_series(1, 24) as i
       where s.user_id = ${person.id}`)
    const rowsOf = ({ html }: Page) => [...html.matchAll(/<li><div class="what">([\s\S]*?)<\/li>/g)].map((match) => match[1] ?? '')
    const first = await visitor.open('/account/sessions')
    const rows = rowsOf(first)
    assert.match(rows[0] ?? '', /This browser/)
    assert.equal(rows.filter((row) => row.includes('This browser')).length, 1)
    assert.match(rows[1] ?? '', /Firefox, Linux[\s\S]*203\.0\.113\.24[\s\S]*other\.example\/people/)
    const older = /href="(\?cursor=[^"]+)"/.exec(first.html)?.[1] ?? assert.fail(first.text)
    const second = await visitor.open(new URL(older, first.url).href)
    assert.ok(!rowsOf(second).some((row) => row.includes('This browser')))
    assert.equal(rows.length + rowsOf(second).length, 25)
    assert.match(second.html, /href="\/account\/sessions"[^>]*>Newest ones/)
    const after = await visitor.submit(second, {}, formWith(second, 'others'))
    assert.equal(rowsOf(after).length, 1)
    assert.equal(formWith(after, 'others'), -1, 'nothing is left to end')
  })

  test('does not end the session of another person', async () => {
    const [mine, theirs] = await Promise.all([newPerson(), newPerson()])
    const [me, other] = await Promise.all([enter(mine), enter(theirs)])
    await enter(mine)
    const { body } = await signet.api<{ items: { id: string }[] }>('GET', `/api/v1/users/${theirs.id}/sessions`)
    const page = await me.visitor.open('/account/sessions')
    await me.visitor.submit(page, { session: body.items[0]?.id ?? '' }, formWith(page, 'session'))
    assert.equal(await isSignedIn(other.visitor), true)
  })

  test('withdraws a consent, and with it every token it gave', async () => {
    const person = await newPerson()
    const signedIn = await signIn(signet, client, person)
    const tokens = await exchange(signet, client, signedIn)
    const page = await signedIn.visitor.open('/account/consents')
    assert.match(page.text, /Client calendar/)
    const after = await signedIn.visitor.submit(page, {}, formWith(page, 'consent'))
    assert.equal(after.status, 200)
    assert.equal(formWith(after, 'consent'), -1)
    const refreshed = await refresh(signet, client, tokens.body.refresh_token)
    assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant'])
    const userinfo = await fetch(`${signet.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${tokens.body.access_token}` } })
    assert.equal(userinfo.status, 401)
    const again = await signedIn.visitor.open(authorizeUrl(signet, client).url)
    assert.equal(again.forms[0]?.fields.stage, 'consent', 'the next sign-in asks anew')
  })

  test('changes the password: the old one is asked, other sessions end, the old one is worth nothing', async () => {
    const person = await newPerson()
    const [here, elsewhere] = await Promise.all([enter(person), enter(person)])
    const fill = async (values: Record<string, string>) => {
      const page = await here.visitor.open('/account/password')
      return here.visitor.submit(page, values, formWith(page, 'currentPassword'))
    }
    const password = 'an entirely new one'
    assert.equal((await fill({ currentPassword: 'not it', password, passwordRepeat: password })).status, 400)
    assert.equal((await fill({ currentPassword: person.password, password, passwordRepeat: 'another' })).status, 400)
    assert.equal((await fill({ currentPassword: person.password, password: 'short', passwordRepeat: 'short' })).status, 400)
    assert.equal(await isSignedIn(elsewhere.visitor), true)
    assert.equal((await fill({ currentPassword: person.password, password, passwordRepeat: password })).status, 200)
    assert.deepEqual([await isSignedIn(here.visitor), await isSignedIn(elsewhere.visitor)], [true, false])
    assert.equal(await isSignedIn((await enter(person)).visitor), false)
    assert.equal(await isSignedIn((await enter({ ...person, password })).visitor), true)
  })

  test('refuses a post without the page’s token, or from another site', async () => {
    const person = await newPerson()
    const { visitor } = await enter(person)
    await enter(person)
    const page = await visitor.open('/account/sessions')
    const form = page.forms[formWith(page, 'session')]
    const post = (fields: Record<string, string>, headers: Record<string, string>) =>
      visitor.request('/account/sessions', { method: 'POST', body: new URLSearchParams(fields), headers })
    const own = { origin: signet.issuer, 'sec-fetch-site': 'same-origin' }
    assert.equal((await post({ ...form?.fields, token: 'x' }, own)).status, 403)
    assert.equal((await post(form?.fields ?? {}, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).status, 403)
    assert.equal((await post({ ...form?.fields }, own)).status, 303)
  })

  test('signs out', async () => {
    const { visitor, page } = await enter(await newPerson())
    const link = /href="([^"]*\/flow\/invalidation[^"]*)"/.exec(page.html)?.[1]?.replaceAll('&amp;', '&')
    assert.ok(link)
    const end = await walk(visitor, await visitor.open(link), {})
    assert.equal(end.status, 200, end.text)
    assert.equal(await isSignedIn(visitor), false)
  })
})

/** Invitations over REST, and what they are worth when they are used. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { consumeInvitation, findInvited } from '#/identity/invitations.ts'
import { openQueuedMail } from '#/identity/mail.ts'
import { sql } from '#/lib/sql.ts'
import { purgeInvitations } from '#/model/invitations.ts'
import { type Api, issuerUrl, openApi } from '../../test/support/api.ts'

interface Invitation {
  id: string
  url: string
  email: string | null
  groups: string[]
  expiresAt: string
  consumedAt: string | null
}
interface Refusal {
  errors: { pointer: string }[]
}

let api: Api
before(async () => {
  api = await openApi()
  await role('people-team', [{ kinds: ['invitations', 'groups'], namespaces: ['*'], verbs: ['*'] }], { groups: ['people-team'] })
  await role('root', [{ kinds: ['*'], namespaces: ['*'], verbs: ['*'] }], { groups: ['roots'] })
  for (const group of [{ name: 'people-team' }, { name: 'roots' }, { name: 'staff' }, { name: 'nested', parents: ['roots'] }])
    assert.equal((await api.call('POST', '/api/v1/groups', group)).status, 201)
  await api.snapshot.refresh()
})
after(() => api.close())

const role = async (name: string, rules: object[], subjects: object) => {
  const { status, text } = await api.call('POST', '/api/v1/namespaces/default/roles', { metadata: { name }, spec: { rules, subjects } })
  assert.equal(status, 201, text)
}
const roles = () => api.snapshot.list('Role').map(({ spec }) => spec)
const now = () => new Date()
const change = { actor: 'anonymous', username: 'invited' }
const invite = (body: object = {}, options = {}) => api.call<Invitation>('POST', '/api/v1/invitations', body, options)
const shownAt = (url: string, changed: object = {}) => ({
  token: new URL(url).searchParams.get('invitation') ?? '',
  issuer: issuerUrl,
  flow_name: 'enrollment',
  roles: roles(),
  ...changed,
})

describe('POST /api/v1/invitations', () => {
  it('answers where to enroll, this once, and what is fixed', async () => {
    const made = await invite({ email: 'Ann@example.org', name: 'Ann Other', locale: 'de', groups: ['STAFF', 'staff'], expiresIn: '24h' })
    assert.equal(made.status, 201, made.text)
    const { id, url, email, expiresAt, groups } = made.body
    assert.match(url, /^http:\/\/localhost:9000\/flow\/enrollment\?invitation=[\w-]{43}$/)
    assert.deepEqual([email, groups], ['Ann@example.org', ['staff']])
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 24 * 3_600_000) < 60_000)
    assert.equal(made.headers.location, `/api/v1/invitations/${id}`)
    const token = new URL(url).searchParams.get('invitation') ?? ''
    for (const path of ['/api/v1/invitations', `/api/v1/invitations/${id}`, '/api/v1/events']) {
      const read = await api.call('GET', path)
      assert.equal(read.status, 200)
      assert.ok(read.text.includes(id) && !read.text.includes(token), path)
    }
    const stored = await api.db.any<{ text: string }>({ name: '', text: 'select i::text as text from invitations i', values: [] })
    assert.ok(!stored.some(({ text }) => text.includes(token)))
  })

  it('needs nothing, and is good for a week then', async () => {
    const { body } = await invite()
    assert.equal(body.email, null)
    assert.ok(Math.abs(Date.parse(body.expiresAt) - Date.now() - 168 * 3_600_000) < 60_000)
  })

  it('is an entrance of the flow it names', async () => {
    const stages = [{ stage: 'invitation' }, { stage: 'user_write' }]
    const flow = { metadata: { name: 'partners' }, spec: { designation: 'enrollment', stages } }
    assert.equal((await api.call('POST', '/api/v1/namespaces/default/flows', flow)).status, 201)
    const { body } = await invite({ flow: 'partners' })
    assert.match(body.url, /\/flow\/partners\?invitation=/)
    assert.equal(await findInvited(api.db, shownAt(body.url), now()), undefined)
    assert.ok(await findInvited(api.db, shownAt(body.url, { flow_name: 'partners' }), now()))
  })

  const wrong: [title: string, body: object, pointer: string][] = [
    ['an address that is none', { email: 'none' }, '/email'],
    ['an unknown group', { groups: ['staff', 'nobody-here'] }, '/groups/1'],
    ['a life of more than 90 days', { expiresIn: '2161h' }, '/expiresIn'],
    ['a life of no time', { expiresIn: '0s' }, '/expiresIn'],
    ['a life in words', { expiresIn: 'a week' }, '/expiresIn'],
    ['a flow that is an address', { flow: '../account' }, '/flow'],
    ['a flow that there is not', { flow: 'nope' }, '/flow'],
    ['a flow that enrolls nobody', { flow: 'authentication' }, '/flow'],
    ['a language that is none', { locale: '!' }, '/locale'],
    ['sending to nobody', { send: true }, '/email'],
    ['a field unknown', { colour: 'red' }, '/colour'],
  ]
  for (const [title, body, pointer] of wrong)
    it(`refuses ${title}`, async () => {
      const answer = await api.call<Refusal>('POST', '/api/v1/invitations', body)
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(
        answer.body.errors.map((error) => error.pointer),
        [pointer],
      )
    })
})

describe('POST /api/v1/invitations with send', () => {
  const mails = async (of: Api) =>
    (
      await of.db.any<{ payload: unknown }>(sql`
        select j.payload
          from graphile_worker._private_jobs j
          join graphile_worker._private_tasks t on t.id = j.task_id
         where t.identifier = 'send_email'
         order by j.id`)
    ).map(({ payload }) => ({ text: JSON.stringify(payload), mail: openQueuedMail(payload, of.rootSecret) }))

  it('makes nothing where no mail can be sent', async () => {
    const answer = await invite({ email: 'unsent@example.org', send: true })
    assert.equal(answer.status, 503, answer.text)
    assert.ok(!(await api.call('GET', '/api/v1/invitations?limit=500')).text.includes('unsent@example.org'))
    assert.deepEqual(await mails(api), [])
  })

  it('queues the mail with the address, in the language of the person', async () => {
    const mailing = await openApi({ env: { SIGNET_SMTP_URL: 'smtp://127.0.0.1:1' } })
    try {
      const send = (body: object) => mailing.call<Invitation>('POST', '/api/v1/invitations', body)
      assert.equal((await send({ email: 'quiet@example.org' })).status, 201)
      assert.equal((await send({ email: 'ann@example.org', groups: ['nobody-here'], send: true })).status, 422)
      assert.deepEqual(await mails(mailing), [])
      const { status, body, text } = await send({ email: 'ann@example.org', name: 'Ann', locale: 'de', send: true })
      assert.equal(status, 201, text)
      const [queued, ...others] = await mails(mailing)
      assert.deepEqual(others, [])
      const { to, template, locale, variables } = queued?.mail ?? assert.fail('no mail')
      assert.deepEqual([to, template, locale, variables.url], ['ann@example.org', 'invitation', 'de', body.url])
      assert.equal(variables.expiresAt?.toISOString(), body.expiresAt)
      assert.ok(!queued?.text.includes(new URL(body.url).searchParams.get('invitation') ?? ''))
    } finally {
      await mailing.close()
    }
  })
})

describe('rights', () => {
  const rule = (kinds: string[], verbs: string[]) => ({ kinds, namespaces: ['*'], verbs })
  const rows: [title: string, scope: ReturnType<typeof rule>, body: object, status: number][] = [
    ['without any', rule(['media'], ['get']), {}, 403],
    ['to invite, into no group', rule(['invitations'], ['create']), {}, 201],
    ['to invite, into a group', rule(['invitations'], ['create']), { groups: ['staff'] }, 403],
    ['to invite, into a group that may not be there', rule(['invitations'], ['create']), { groups: ['nobody-here'] }, 403],
    ['to invite and change groups, into a group', rule(['invitations', 'groups'], ['create', 'update']), { groups: ['staff'] }, 201],
    ['to invite and create users, into a group', rule(['invitations', 'users'], ['create']), { groups: ['staff'] }, 201],
    [
      'to invite and change groups, into one that gives more',
      rule(['invitations', 'groups'], ['create', 'update']),
      { groups: ['roots'] },
      403,
    ],
    [
      'to invite and change groups, into one within such',
      rule(['invitations', 'groups'], ['create', 'update']),
      { groups: ['nested'] },
      403,
    ],
    ['everything, into one that gives everything', rule(['*'], ['*']), { groups: ['roots'] }, 201],
  ]
  for (const [title, scope, body, status] of rows)
    it(`${title}: ${status}`, async () => {
      const token = await api.token(scope)
      assert.equal((await invite(body, { token })).status, status)
    })

  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/0190a5a0-0000-7000-8000-000000000000'],
    ['DELETE', '/0190a5a0-0000-7000-8000-000000000000'],
  ] as const)
    it(`${method} /api/v1/invitations${path.slice(0, 5)} wants its own right`, async () => {
      const token = await api.token(rule(['invitations'], ['create']))
      assert.equal((await api.call(method, `/api/v1/invitations${path}`, undefined, { token })).status, 403)
      assert.equal((await api.call(method, `/api/v1/invitations${path}`)).status, path ? 404 : 200)
    })
})

describe('an invitation', () => {
  it('is used once, however many use it at once, and looking does not use it', async () => {
    const { body } = await invite({ email: 'once@example.org', groups: ['staff'] })
    for (let look = 0; look < 3; look++) assert.equal((await findInvited(api.db, shownAt(body.url), now()))?.email, 'once@example.org')
    const many = await Promise.all(
      Array.from({ length: 20 }, () => api.db.transaction((tx) => consumeInvitation(tx, shownAt(body.url), change, now()))),
    )
    const [won, ...others] = many.filter((found) => found !== undefined)
    assert.deepEqual([won?.groups, others], [['staff'], []])
    assert.equal(await findInvited(api.db, shownAt(body.url), now()), undefined)
    const { consumedAt } = (await api.call<Invitation>('GET', `/api/v1/invitations/${body.id}`)).body
    assert.ok(consumedAt)
    const events = await api.call<{ items: { data: object }[] }>('GET', '/api/v1/events?action=invitation.consumed')
    assert.equal(events.body.items.length, 1)
  })

  it('is good again when what it was used for failed', async () => {
    const { body } = await invite()
    const failed = api.db.transaction(async (tx) => {
      assert.ok(await consumeInvitation(tx, shownAt(body.url), change, now()))
      throw new Error('the name was taken')
    })
    await assert.rejects(failed, /the name was taken/)
    assert.ok(await findInvited(api.db, shownAt(body.url), now()))
  })

  const nothing: [title: string, changed: object, later: number][] = [
    ['after its time', {}, 168 * 3_600_000],
    ['at another issuer', { issuer: 'https://other.example.com' }, 0],
    ['in another flow', { flow_name: 'recovery' }, 0],
    ['with another token', { token: 'x'.repeat(43) }, 0],
    ['with an endless token', { token: 'x'.repeat(100_000) }, 0],
    ['with no token', { token: '' }, 0],
  ]
  for (const [title, changed, later] of nothing)
    it(`is worth nothing ${title}`, async () => {
      const { body } = await invite()
      const at = new Date(Date.now() + later)
      assert.equal(await findInvited(api.db, shownAt(body.url, changed), at), undefined)
      assert.equal(await consumeInvitation(api.db, shownAt(body.url, changed), change, at), undefined)
      assert.ok(await consumeInvitation(api.db, shownAt(body.url), change, now()))
    })

  it('is worth nothing when it was taken back', async () => {
    const { body } = await invite()
    assert.equal((await api.call('DELETE', `/api/v1/invitations/${body.id}`)).status, 204)
    assert.equal(await findInvited(api.db, shownAt(body.url), now()), undefined)
    assert.equal((await api.call('DELETE', `/api/v1/invitations/${body.id}`)).status, 404)
  })

  it('gives no group that was deleted, nor another of its name', async () => {
    const group = await api.call<{ id: string }>('POST', '/api/v1/groups', { name: 'passing' })
    const { body } = await invite({ groups: ['passing', 'staff'] })
    await api.call('DELETE', `/api/v1/groups/${group.body.id}`)
    await api.call('POST', '/api/v1/groups', { name: 'passing' })
    assert.deepEqual((await consumeInvitation(api.db, shownAt(body.url), change, now()))?.groups, ['staff'])
  })
})

describe('an invitation of someone', () => {
  const maker = async (username: string) => {
    const { body } = await api.call<{ id: string }>('POST', '/api/v1/users', { username, groups: ['people-team', 'roots'] })
    const token = await api.token(undefined, body.id)
    const made = await invite({ groups: ['roots'] }, { token })
    assert.equal(made.status, 201, made.text)
    assert.ok(await findInvited(api.db, shownAt(made.body.url), now()))
    return { path: `/api/v1/users/${body.id}`, url: made.body.url, id: made.body.id }
  }
  const isWorthNothing = async (url: string) => {
    assert.equal(await findInvited(api.db, shownAt(url), now()), undefined)
    assert.equal(await consumeInvitation(api.db, shownAt(url), change, now()), undefined)
  }

  it('is worth nothing while they are inactive', async () => {
    const { path, url } = await maker('idle-maker')
    await api.call('PATCH', path, { active: false })
    await isWorthNothing(url)
    await api.call('PATCH', path, { active: true })
    assert.ok(await findInvited(api.db, shownAt(url), now()))
  })

  it('is worth nothing once they may not do themselves what its groups give', async () => {
    const { path, url } = await maker('lesser-maker')
    await api.call('PATCH', path, { groups: ['people-team'] })
    await isWorthNothing(url)
  })

  it('goes with them', async () => {
    const { path, url, id } = await maker('gone-maker')
    assert.equal((await api.call('DELETE', path)).status, 204)
    await isWorthNothing(url)
    assert.equal((await api.call('GET', `/api/v1/invitations/${id}`)).status, 404)
  })
})

describe('GET /api/v1/invitations', () => {
  it('pages through all of them, and those whose time is over are purged', async () => {
    const seen: string[] = []
    let next: string | null = ''
    for (let page = 0; page < 100 && next !== null; page++) {
      const cursor = next ? `&cursor=${encodeURIComponent(next)}` : ''
      const answer: { body: { items: Invitation[]; next: string | null } } = await api.call('GET', `/api/v1/invitations?limit=3${cursor}`)
      seen.push(...answer.body.items.map(({ id }) => id))
      next = answer.body.next
    }
    assert.ok(seen.length > 10)
    assert.equal(new Set(seen).size, seen.length)
    assert.equal(await purgeInvitations(api.db, new Date(Date.now() + 91 * 86_400_000), 5), 5)
    assert.equal(await purgeInvitations(api.db, now(), 1_000), 0)
    assert.ok((await purgeInvitations(api.db, new Date(Date.now() + 91 * 86_400_000), 1_000)) >= seen.length - 5)
  })
})

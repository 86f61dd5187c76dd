import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Api, openApi } from '../../test/support/api.ts'

interface User {
  id: string
  username: string
  email: string | null
  groups: string[]
  attributes: Record<string, unknown>
  resourceVersion: string
  [field: string]: unknown
}
interface Page {
  items: User[]
  next: string | null
}
interface Refusal {
  status: number
  detail: string
  errors: { pointer: string; detail: string }[]
}

let api: Api
before(async () => {
  api = await openApi()
})
after(() => api.close())

const create = async (fields: object) => {
  const answer = await api.call<User>('POST', '/api/v1/users', fields)
  assert.equal(answer.status, 201, answer.text)
  return answer.body
}

describe('POST /api/v1/users', () => {
  it('creates a user and says where they are', async () => {
    const answer = await api.call<User>('POST', '/api/v1/users', {
      username: 'alice',
      email: 'Alice@example.org',
      name: 'Alice Liddell',
      locale: 'de',
      attributes: { team: 'red', floors: [1, 2] },
    })
    assert.equal(answer.status, 201, answer.text)
    const { id } = answer.body
    assert.equal(answer.headers.location, `/api/v1/users/${id}`)
    assert.match(answer.headers.etag ?? '', /^"\d+"$/)
    assert.equal(answer.headers['cache-control'], 'no-store')
    const read = await api.call<User>('GET', `/api/v1/users/${id}`)
    assert.equal(read.status, 200)
    assert.deepEqual(read.body, answer.body)
    const { username, email, name, active, locale, groups, attributes } = read.body
    assert.deepEqual(
      { username, email, name, active, locale, groups, attributes },
      {
        username: 'alice',
        email: 'Alice@example.org',
        name: 'Alice Liddell',
        active: true,
        locale: 'de',
        groups: [],
        attributes: { team: 'red', floors: [1, 2] },
      },
    )
  })

  it('names every bad field, unknown ones included', async () => {
    const { status, body, headers } = await api.call<Refusal>('POST', '/api/v1/users', {
      username: '',
      email: 'none',
      colour: 'red',
      active: 'yes',
    })
    assert.equal(status, 422)
    assert.match(headers['content-type'] ?? '', /^application\/problem\+json/)
    assert.deepEqual(body.errors.map(({ pointer }) => pointer).sort(), ['/active', '/colour', '/email', '/username'])
  })

  it('refuses a name that is taken, whatever its case', async () => {
    await create({ username: 'taken' })
    const { status } = await api.call('POST', '/api/v1/users', { username: 'TAKEN' })
    assert.equal(status, 409)
  })

  it('takes a password that another system hashed, and never shows it', async () => {
    const passwordHash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
    const answer = await api.call<User>('POST', '/api/v1/users', { username: 'imported', passwordHash })
    assert.equal(answer.status, 201, answer.text)
    assert.ok(!answer.text.includes('$2b$'))
    const { body } = await api.call<{ items: { type: string }[] }>('GET', `/api/v1/users/${answer.body.id}/credentials`)
    assert.deepEqual(
      body.items.map(({ type }) => type),
      ['password'],
    )
  })

  const rows: [string, unknown, Record<string, string>, number][] = [
    ['no body', undefined, {}, 400],
    ['what is no JSON', Buffer.from('{'), {}, 400],
    ['what is no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), {}, 400],
    ['a list', [], {}, 422],
    ['NUL in a text', { username: 'a\0b' }, {}, 422],
    ['half a character', Buffer.from('{"username":"\\ud800"}'), {}, 422],
    ['a field that reaches for the prototype', Buffer.from('{"username":"p","__proto__":{"active":false}}'), {}, 422],
    ['another content type', Buffer.from('username=a'), { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['a compressed body', { username: 'zip' }, { 'content-encoding': 'gzip' }, 415],
    ['more than a megabyte', { username: 'big', name: 'x'.repeat(1_100_000) }, {}, 413],
    ['deep nesting', Buffer.from(`{"username":"deep","attributes":{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`), {}, 422],
  ]
  for (const [title, body, headers, expected] of rows)
    it(`answers ${expected} to ${title}`, async () => {
      const { status, text } = await api.call('POST', '/api/v1/users', body, { headers })
      assert.equal(status, expected, text)
      assert.ok(!text.includes('at '), 'no stack leaves')
    })
})

describe('GET /api/v1/users', () => {
  it('pages by cursor through all of them', async () => {
    for (let i = 0; i < 5; i++) await create({ username: `paged-${i}` })
    const seen: string[] = []
    let cursor: string | null = ''
    do {
      const { status, body }: { status: number; body: Page } = await api.call<Page>(
        'GET',
        `/api/v1/users?q=paged-&limit=2&cursor=${cursor}`,
      )
      assert.equal(status, 200)
      assert.ok(body.items.length <= 2)
      seen.push(...body.items.map(({ username }) => username))
      cursor = body.next
    } while (cursor)
    assert.deepEqual(
      seen.sort(),
      [0, 1, 2, 3, 4].map((i) => `paged-${i}`),
    )
  })

  for (const query of [
    'limit=0',
    'limit=501',
    'limit=x',
    'limit=1&limit=2',
    'cursor=nonsense',
    'colour=red',
    'q=%00',
    `q=${'x'.repeat(300)}`,
  ])
    it(`refuses ${query.slice(0, 30)}`, async () => {
      const { status, body } = await api.call<Refusal>('GET', `/api/v1/users?${query}`)
      assert.equal(status, 422)
      assert.ok(body.errors.length > 0)
    })
})

describe('PATCH /api/v1/users/{id}', () => {
  it('merges: null removes, absent stays', async () => {
    const { id } = await create({ username: 'merged', name: 'Old', email: 'merged@example.org', attributes: { keep: 1, drop: 2 } })
    const { status, body } = await api.call<User>('PATCH', `/api/v1/users/${id}`, { name: 'New', email: null, attributes: { drop: null } })
    assert.equal(status, 200)
    assert.deepEqual([body.name, body.email, body.attributes], ['New', null, { keep: 1 }])
  })

  it('lets one of two writers win who saw the same version', async () => {
    const user = await create({ username: 'raced' })
    const headers = { 'if-match': `"${user.resourceVersion}"` }
    const answers = await Promise.all(
      [1, 2, 3].map((i) => api.call('PATCH', `/api/v1/users/${user.id}`, { name: `Writer ${i}` }, { headers })),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412, 412])
  })

  it('names an unknown field', async () => {
    const { id } = await create({ username: 'patched' })
    const { status, body } = await api.call<Refusal>('PATCH', `/api/v1/users/${id}`, { colour: 'red' })
    assert.equal(status, 422)
    assert.equal(body.errors[0]?.pointer, '/colour')
  })
})

describe('addresses that name nobody', () => {
  for (const id of ['00000000-0000-4000-8000-000000000000', 'nobody', '%00', '%ff', '%ED%A0%80', 'x'.repeat(300), '..%2f..%2fetc'])
    it(`answers 404 to ${id.slice(0, 20)}`, async () => {
      for (const [method, path] of [
        ['GET', ''],
        ['DELETE', ''],
        ['GET', '/sessions'],
        ['GET', '/consents'],
        ['GET', '/remembered-devices'],
        ['DELETE', '/remembered-devices'],
        ['GET', '/credentials'],
      ]) {
        const { status, text } = await api.call(method ?? '', `/api/v1/users/${id}${path}`)
        assert.ok(status === 404 || status === 400, `${method} ${path}: ${status} ${text}`)
      }
    })
})

const storeOf = (passwordRules: object) => `
apiVersion: signet.dev/v1alpha1
kind: UserStore
metadata: {name: default}
spec: {type: postgres, passwordRules: ${JSON.stringify(passwordRules)}}
---
apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: {name: default}
spec: {issuerUrl: http://localhost:9000}
`

describe('the passwordRules of the UserStore', () => {
  const applied = async (passwordRules: object) => {
    const answer = await api.call('POST', '/api/v1/apply', storeOf(passwordRules))
    await api.snapshot.refresh()
    return answer
  }

  it('hold for POST /users/{id}/password, which names every mistake', async () => {
    assert.equal((await applied({ minLength: 14, forbidPersonal: true, history: 2 })).status, 200)
    const { id } = await create({ username: 'strictly' })
    const set = (password: string) => api.call<Refusal>('POST', `/api/v1/users/${id}/password`, { password })
    const refused = await set('strictly')
    assert.equal(refused.status, 422)
    assert.deepEqual(refused.body.errors, [
      { pointer: '/password', detail: 'wants at least 14 characters' },
      { pointer: '/password', detail: 'contains the username, e-mail address or name' },
    ])
    assert.equal((await set('')).status, 422)
    assert.equal((await set('a long enough one')).status, 204)
    assert.match((await set('a long enough one')).body.errors[0]?.detail ?? '', /last 2 passwords/)
    assert.equal((await applied({})).status, 200)
    assert.equal((await set('eight888')).status, 204)
  })

  it('are refused when they are none', async () => {
    for (const [rules, pointer] of [
      [{ minLength: 4 }, '/spec/passwordRules/minLength'],
      [{ minLength: 64, maxLength: 32 }, '/spec/passwordRules/maxLength'],
      [{ history: 11 }, '/spec/passwordRules/history'],
      [{ minStrength: 5 }, '/spec/passwordRules/minStrength'],
      [{ maxAge: 'long' }, '/spec/passwordRules/maxAge'],
      [{ colour: 'red' }, '/spec/passwordRules/colour'],
    ] as const) {
      const answer = await applied(rules)
      assert.equal(answer.status, 422)
      assert.ok(answer.text.includes(`"${pointer}"`), answer.text)
    }
  })
})

describe('password, sessions and consents', () => {
  it('POST /users/{id}/password refuses a short one and takes a long one', async () => {
    const { id } = await create({ username: 'keyholder' })
    assert.equal((await api.call('POST', `/api/v1/users/${id}/password`, { password: 'short' })).status, 422)
    assert.equal((await api.call('POST', `/api/v1/users/${id}/password`, { password: 'long enough for us' })).status, 204)
    const { body } = await api.call<{ items: { action: string; actor: string; network: string; requestId: string }[] }>(
      'GET',
      '/api/v1/events?action=user.password_changed&limit=1',
    )
    const { action, network, requestId, actor } = body.items[0] ?? {}
    assert.deepEqual(
      { action, network, requestId },
      { action: 'user.password_changed', network: '192.0.2.7', requestId: 'request-of-test' },
    )
    assert.match(actor ?? '', /^token:test/)
  })

  it('lists and ends sessions', async () => {
    const { createSession } = await import('#/identity/sessions.ts')
    const { id } = await create({ username: 'visitor' })
    const person = { user_id: id, username: 'visitor', amr: ['pwd'], acr: '1fa', issuer: 'http://localhost:9000' }
    const first = await createSession(api.db, person, new Date())
    await createSession(api.db, person, new Date())
    const list = await api.call<{ items: { id: string }[] }>('GET', `/api/v1/users/${id}/sessions`)
    assert.equal(list.body.items.length, 2)
    assert.ok(!list.text.includes(first.token))
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}/sessions/${first.uid}`)).status, 204)
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}/sessions/${first.uid}`)).status, 404)
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}/sessions`)).status, 204)
    assert.equal((await api.call<Page>('GET', `/api/v1/users/${id}/sessions`)).body.items.length, 0)
  })

  it('lists and forgets remembered devices, with events', async () => {
    const { rememberDevice } = await import('#/identity/remembered_devices.ts')
    const [one, other] = [await create({ username: 'keeper' }), await create({ username: 'neighbour' })]
    const remember = ({ id, username }: User) =>
      rememberDevice(
        api.db,
        {
          user_id: id,
          username,
          issuer: 'http://localhost:9000',
          factor: 'totp',
          userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
          ttl: 3_600,
        },
        { actor: 'test' },
        new Date(),
      )
    const { token } = await remember(one)
    await remember(one)
    await remember(other)
    const devices = (user: User) =>
      api.call<{ items: { id: string; device: string; lastUsedAt: null }[]; next: null }>(
        'GET',
        `/api/v1/users/${user.id}/remembered-devices`,
      )
    const list = await devices(one)
    assert.deepEqual(
      list.body.items.map(({ device, lastUsedAt }) => [device, lastUsedAt]),
      Array.from({ length: 2 }, () => ['Firefox, Linux', null]),
    )
    assert.ok(!list.text.includes(token))
    const [first] = list.body.items
    const path = (user: User) => `/api/v1/users/${user.id}/remembered-devices/${first?.id}`
    assert.equal((await api.call('DELETE', path(other))).status, 404)
    assert.equal((await api.call('DELETE', path(one))).status, 204)
    assert.equal((await api.call('DELETE', path(one))).status, 404)
    assert.equal((await devices(one)).body.items.length, 1)
    for (const _ of [1, 2]) assert.equal((await api.call('DELETE', `/api/v1/users/${one.id}/remembered-devices`)).status, 204)
    assert.deepEqual([(await devices(one)).body.items.length, (await devices(other)).body.items.length], [0, 1])
    const { body } = await api.call<{ items: { actor: string; data: object }[] }>('GET', '/api/v1/events?action=device.forgotten')
    assert.deepEqual(
      body.items.map(({ data }) => data),
      [{ count: 1 }, { device: first?.id }],
    )
    assert.match(body.items[0]?.actor ?? '', /^token:test/)
  })

  it('lists and withdraws consents, with an event', async () => {
    const { storeConsent } = await import('#/model/consents.ts')
    const { id } = await create({ username: 'consenter' })
    const consent_id = '00000000-0000-4000-8000-0000000000c1'
    await storeConsent(
      api.db,
      { consent_id, user_id: id, issuer: 'http://localhost:9000', client_id: 'shop', scopes: ['openid'], claims: [], resources: {} },
      new Date(),
    )
    const { body } = await api.call<{ items: { id: string; clientId: string }[] }>('GET', `/api/v1/users/${id}/consents`)
    assert.deepEqual(
      body.items.map(({ clientId }) => clientId),
      ['shop'],
    )
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}/consents/${consent_id}`)).status, 204)
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}/consents/${consent_id}`)).status, 404)
    const events = await api.call<{ items: { data: { client: string } }[] }>('GET', '/api/v1/events?action=consent.')
    assert.equal(events.body.items[0]?.data.client, 'shop')
  })
})

describe('DELETE /api/v1/users/{id}', () => {
  it('is over after the first time', async () => {
    const { id } = await create({ username: 'gone' })
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}`)).status, 204)
    assert.equal((await api.call('DELETE', `/api/v1/users/${id}`)).status, 404)
    assert.equal((await api.call('GET', `/api/v1/users/${id}`)).status, 404)
  })
})

describe('groups', () => {
  it('are created, changed by username, nested, and deleted', async () => {
    await create({ username: 'member-one' })
    await create({ username: 'member-two' })
    const parent = await api.call<User>('POST', '/api/v1/groups', { name: 'parents' })
    assert.equal(parent.status, 201, parent.text)
    const group = await api.call<User & { members: string[]; parents: string[] }>('POST', '/api/v1/groups', {
      name: 'children',
      members: ['member-one'],
      parents: ['parents'],
    })
    assert.equal(group.status, 201, group.text)
    assert.deepEqual([group.body.members, group.body.parents], [['member-one'], ['parents']])
    const path = `/api/v1/groups/${group.body.id}`
    assert.equal((await api.call('POST', `${path}/members`, { add: ['member-two'], remove: ['member-one'] })).status, 204)
    const read = await api.call<{ members: string[] }>('GET', path)
    assert.deepEqual(read.body.members, ['member-two'])
    assert.equal((await api.call('PATCH', path, { members: ['nobody-here'] })).status, 422)
    assert.equal((await api.call('PATCH', `/api/v1/groups/${parent.body.id}`, { parents: ['children'] })).status >= 400, true)
    assert.equal((await api.call('DELETE', path)).status, 204)
    assert.equal((await api.call('GET', path)).status, 404)
  })
})

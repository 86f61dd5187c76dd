/** Who may do what over REST: tokens and sessions, Roles, and that nobody hands out more than they hold. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createSession } from '#/identity/sessions.ts'
import { type Api, type CallOptions, issuerUrl, openApi } from '../../test/support/api.ts'

let api: Api
before(async () => {
  api = await openApi()
})
after(() => api.close())

const scope = (kinds: string[], namespaces: string[], verbs: string[]) => ({ kinds, namespaces, verbs })

const person = async (username: string): Promise<string> => {
  const { status, body, text } = await api.call<{ id: string }>('POST', '/api/v1/users', { username })
  assert.equal(status, 201, text)
  return body.id
}

const role = async (name: string, spec: object): Promise<void> => {
  const { status, text } = await api.call('POST', '/api/v1/namespaces/default/roles', { metadata: { name }, spec })
  assert.equal(status, 201, text)
}

/** A person at the browser. */
const session = async (user_id: string, username: string, issuer = issuerUrl): Promise<CallOptions> => {
  const { token } = await createSession(api.db, { user_id, username, amr: ['pwd'], acr: '1fa', issuer }, new Date())
  return { token: null, headers: { cookie: `signet_session=${token}`, origin: issuerUrl, 'sec-fetch-site': 'same-origin' } }
}

describe('without rights', () => {
  const paths = [
    ['GET', '/api/v1/users'],
    ['POST', '/api/v1/users'],
    ['GET', '/api/v1/events'],
    ['GET', '/api/v1/tokens'],
    ['POST', '/api/v1/apply'],
    ['GET', '/api/v1/export'],
    ['GET', '/api/v1/namespaces/default/authclients'],
    ['GET', '/api/v1/namespaces/default/authclients/shop/credentials'],
  ] as const
  for (const [method, path] of paths) {
    it(`${method} ${path} answers 401 without a token`, async () => {
      const { status, headers } = await api.call(method, path, method === 'POST' ? {} : undefined, { token: null })
      assert.equal(status, 401)
      assert.match(headers['www-authenticate'] ?? '', /^Bearer/)
    })
    it(`${method} ${path} answers 403 to a token for something else`, async () => {
      const token = await api.token(scope(['media'], ['*'], ['get']))
      const { status } = await api.call(method, path, method === 'POST' ? {} : undefined, { token })
      assert.equal(status, 403)
    })
  }

  for (const authorization of [
    'Bearer wrong',
    `Bearer ${'x'.repeat(43)}`,
    'Basic YTpi',
    'Bearer',
    'Bearer  ',
    `Bearer ${'y'.repeat(5_000)}`,
  ])
    it(`answers 401 to Authorization: ${authorization.slice(0, 20)}`, async () => {
      assert.equal((await api.call('GET', '/api/v1/users', undefined, { token: null, headers: { authorization } })).status, 401)
    })

  it('takes no token from the address', async () => {
    assert.equal((await api.call('GET', `/api/v1/users?access_token=${api.full}`, undefined, { token: null })).status, 401)
  })
})

describe('tokens', () => {
  it('are shown once, list when they were last used, and are worth nothing when deleted', async () => {
    const made = await api.call<{ id: string; token: string; expiresAt: string }>('POST', '/api/v1/tokens', {
      name: 'pipeline',
      scope: scope(['Role'], ['default'], ['list']),
      expiresIn: '720h',
    })
    assert.equal(made.status, 201, made.text)
    const { id, token } = made.body
    assert.ok(Date.parse(made.body.expiresAt) > Date.now() + 719 * 3_600_000)
    assert.equal((await api.call('GET', '/api/v1/namespaces/default/roles', undefined, { token })).status, 200)
    assert.equal((await api.call('GET', '/api/v1/namespaces/other/roles', undefined, { token })).status, 403)
    assert.equal((await api.call('DELETE', '/api/v1/namespaces/default/roles/any', undefined, { token })).status, 403)
    const list = await api.call<{ items: { id: string; lastUsedAt: string | null }[] }>('GET', '/api/v1/tokens')
    assert.ok(list.body.items.find((item) => item.id === id)?.lastUsedAt)
    assert.ok(!list.text.includes(token))
    assert.equal((await api.call('GET', made.headers.location ?? '')).status, 200)
    assert.equal((await api.call('DELETE', `/api/v1/tokens/${id}`)).status, 204)
    assert.equal((await api.call('GET', '/api/v1/namespaces/default/roles', undefined, { token })).status, 401)
    assert.equal((await api.call('DELETE', `/api/v1/tokens/${id}`)).status, 404)
  })

  it('end when they said they would', async () => {
    const made = await api.call<{ id: string; token: string }>('POST', '/api/v1/tokens', { name: 'short', expiresIn: '1h' })
    await api.db.run({
      name: '',
      text: `update api_tokens set created_at = now() - interval '2 hours', expires_at = now() - interval '1 second' where token_id = $1`,
      values: [made.body.id],
    })
    assert.equal((await api.call('GET', '/api/v1/users', undefined, { token: made.body.token })).status, 401)
  })

  it('are refused when they hold more than their maker', async () => {
    const token = await api.token(scope(['tokens', 'Role'], ['*'], ['create', 'get']))
    for (const wanted of [scope(['*'], ['*'], ['*']), scope(['Role'], ['*'], ['delete']), scope(['users'], ['*'], ['get'])])
      assert.equal((await api.call('POST', '/api/v1/tokens', { name: 'more', scope: wanted }, { token })).status, 403)
    assert.equal(
      (await api.call('POST', '/api/v1/tokens', { name: 'less', scope: scope(['roles'], ['a'], ['get']) }, { token })).status,
      201,
    )
    const same = await api.call<{ scope: object }>('POST', '/api/v1/tokens', { name: 'the same' }, { token })
    assert.deepEqual(same.body.scope, scope(['tokens', 'Role'], ['*'], ['create', 'get']))
  })

  it('do not outlive the token that made them', async () => {
    const parent = await api.call<{ token: string; expiresAt: string }>('POST', '/api/v1/tokens', { name: 'parent', expiresIn: '1h' })
    const { token } = parent.body
    assert.equal((await api.call('POST', '/api/v1/tokens', { name: 'child', expiresIn: '2h' }, { token })).status, 403)
    const child = await api.call<{ expiresAt: string }>('POST', '/api/v1/tokens', { name: 'child' }, { token })
    assert.equal(child.body.expiresAt, parent.body.expiresAt)
  })

  it('name every bad field', async () => {
    const { status, body } = await api.call<{ errors: { pointer: string }[] }>('POST', '/api/v1/tokens', {
      name: '',
      scope: { kinds: ['unicorns'], namespaces: ['A B'], verbs: ['fly'], colour: 'red' },
      expiresIn: '1 year',
      colour: 'red',
    })
    assert.equal(status, 422)
    assert.deepEqual(body.errors.map(({ pointer }) => pointer).sort(), [
      '/colour',
      '/expiresIn',
      '/name',
      '/scope/colour',
      '/scope/kinds/0',
      '/scope/namespaces/0',
      '/scope/verbs/0',
    ])
  })
})

describe('Roles', () => {
  it('bind a person, by themselves and through a group of a group', async () => {
    const ann = await person('ann')
    await person('ben')
    const asAnn = await session(ann, 'ann')
    assert.equal((await api.call('GET', '/api/v1/users', undefined, asAnn)).status, 403)
    await api.call('POST', '/api/v1/groups', { name: 'support' })
    await api.call('POST', '/api/v1/groups', { name: 'night-shift', members: ['ann'], parents: ['support'] })
    await role('support', { rules: [{ kinds: ['users'], verbs: ['list', 'get'] }], subjects: { groups: ['support'] } })
    assert.equal((await api.call('GET', '/api/v1/users', undefined, asAnn)).status, 200)
    assert.equal((await api.call('POST', '/api/v1/users', { username: 'new' }, asAnn)).status, 403)
    const groups = await api.call<{ items: { id: string }[] }>('GET', '/api/v1/groups?q=night-shift')
    await api.call('PATCH', `/api/v1/groups/${groups.body.items[0]?.id}`, { members: ['ben'] })
    assert.equal((await api.call('GET', '/api/v1/users', undefined, asAnn)).status, 403)
  })

  it('bound a token of a person, today and tomorrow', async () => {
    const cleo = await person('cleo')
    await role('cleo', {
      rules: [
        { kinds: ['events'], verbs: ['list'] },
        { kinds: ['users'], verbs: ['list'] },
      ],
      subjects: { users: ['Cleo'] },
    })
    const asCleo = await session(cleo, 'cleo')
    const wide = await api.call('POST', '/api/v1/tokens', { name: 'wide', scope: scope(['*'], ['*'], ['*']) }, asCleo)
    assert.equal(wide.status, 403)
    const made = await api.call<{ token: string; user: string }>('POST', '/api/v1/tokens', { name: 'mine' }, asCleo)
    assert.equal(made.status, 201, made.text)
    assert.equal(made.body.user, 'cleo')
    const { token } = made.body
    assert.equal((await api.call('GET', '/api/v1/events', undefined, { token })).status, 200)
    assert.equal((await api.call('DELETE', '/api/v1/namespaces/default/roles/cleo', undefined, { token })).status, 403)
    const own = await api.call<{ items: { name: string }[] }>('GET', '/api/v1/tokens', undefined, asCleo)
    assert.deepEqual(
      own.body.items.map(({ name }) => name),
      ['mine'],
    )
    assert.equal((await api.call('DELETE', '/api/v1/namespaces/default/roles/cleo')).status, 204)
    assert.equal((await api.call('GET', '/api/v1/events', undefined, { token })).status, 403)
    await api.call('PATCH', `/api/v1/users/${cleo}`, { active: false })
    assert.equal((await api.call('GET', '/api/v1/events', undefined, { token })).status, 401)
  })
})

describe('sessions', () => {
  it('change something only from a page of ours', async () => {
    const dora = await person('dora')
    await role('dora', { rules: [{ kinds: ['groups'], verbs: ['*'] }], subjects: { users: ['dora'] } })
    const { headers } = await session(dora, 'dora')
    const cookie = headers?.cookie ?? ''
    const attempt = async (more: Record<string, string>) =>
      (await api.call('POST', '/api/v1/groups', { name: `g${Math.random()}` }, { token: null, headers: { cookie, ...more } })).status
    assert.equal(await attempt({}), 403)
    assert.equal(await attempt({ origin: 'https://evil.example' }), 403)
    assert.equal(await attempt({ origin: 'null' }), 403)
    assert.equal(await attempt({ origin: issuerUrl, 'sec-fetch-site': 'same-site' }), 403)
    assert.equal(await attempt({ origin: issuerUrl, 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await attempt({ 'sec-fetch-site': 'same-origin' }), 201)
    assert.equal(await attempt({ origin: issuerUrl }), 201)
    const read = await api.call('GET', '/api/v1/groups', undefined, { token: null, headers: { cookie } })
    assert.equal(read.status, 200)
  })

  it('tell at /api/v1/me who it is and how they signed in, which a token cannot', async () => {
    const fay = await person('fay')
    const { status, body } = await api.call<Record<string, unknown>>('GET', '/api/v1/me', undefined, await session(fay, 'fay'))
    assert.equal(status, 200)
    const { session: signedIn, ...shown } = body as { session: { acr: string; amr: string[]; authTime: string } }
    assert.deepEqual(shown, (await api.call('GET', `/api/v1/users/${fay}`)).body)
    assert.deepEqual([signedIn.acr, signedIn.amr], ['1fa', ['pwd']])
    assert.ok(Math.abs(Date.parse(signedIn.authTime) - Date.now()) < 60_000)
    for (const token of [api.full, null]) assert.equal((await api.call('GET', '/api/v1/me', undefined, { token })).status, 401)
  })

  it('of another issuer are no session here', async () => {
    const emil = await person('emil')
    await role('emil', { rules: [{ kinds: ['groups'], verbs: ['*'] }], subjects: { users: ['emil'] } })
    assert.equal((await api.call('GET', '/api/v1/groups', undefined, await session(emil, 'emil'))).status, 200)
    assert.equal((await api.call('GET', '/api/v1/groups', undefined, await session(emil, 'emil', `${issuerUrl}/other`))).status, 401)
  })
})

describe('a password comes with the right to set passwords', () => {
  const passwordHash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'

  it('whoever may create users makes one without, and with update credentials one that signs in', async () => {
    const maker = await api.token(scope(['users'], ['*'], ['*']))
    assert.equal((await api.call('POST', '/api/v1/users', { username: 'hashed', passwordHash }, { token: maker })).status, 403)
    assert.equal((await api.call('GET', '/api/v1/users?q=hashed')).text.includes('hashed'), false)
    assert.equal((await api.call('POST', '/api/v1/users', { username: 'bare' }, { token: maker })).status, 201)
    const importer = await api.token(scope(['users', 'credentials'], ['*'], ['create', 'update']))
    assert.equal((await api.call('POST', '/api/v1/users', { username: 'hashed', passwordHash }, { token: importer })).status, 201)
  })

  it('no resource and no patch carries one', async () => {
    const manifest = { apiVersion: 'signet.dev/v1alpha1', kind: 'User', metadata: { name: 'carried' }, spec: { passwordHash } }
    for (const [method, path, body, status] of [
      ['POST', '/api/v1/apply', manifest, 422],
      ['POST', '/api/v1/namespaces/default/users', manifest, 422],
      ['PATCH', `/api/v1/users/${await person('patched')}`, { passwordHash }, 422],
    ] as const) {
      const answer = await api.call(method, path, body)
      assert.equal(answer.status, status, answer.text)
      assert.match(answer.text, /passwordHash/)
    }
  })
})

describe('nobody hands out more than they hold', () => {
  /** May do everything with users, groups, roles, credentials, but nothing with events. */
  const keeper = () => api.token(scope(['users', 'groups', 'roles', 'credentials', 'sessions'], ['*'], ['*']))
  let boss: string
  let plain: string
  before(async () => {
    boss = await person('boss')
    plain = await person('plain')
    await api.call('POST', '/api/v1/groups', { name: 'admins' })
    await api.call('POST', '/api/v1/groups', { name: 'harmless' })
    await role('everything', {
      rules: [{ kinds: ['*'], verbs: ['*'] }],
      subjects: { users: ['boss', 'not-there-yet'], groups: ['admins'] },
    })
  })

  const spec = (rules: object[], subjects: object) => ({ rules, subjects })
  const rows: [string, string, () => string, unknown, number][] = [
    [
      'a Role with more rights',
      'POST',
      () => '/api/v1/namespaces/default/roles',
      { metadata: { name: 'mine' }, spec: spec([{ kinds: ['*'], verbs: ['*'] }], { users: ['plain'] }) },
      403,
    ],
    [
      'a Role with rights of theirs',
      'POST',
      () => '/api/v1/namespaces/default/roles',
      { metadata: { name: 'mine' }, spec: spec([{ kinds: ['users'], verbs: ['get'] }], { users: ['plain'] }) },
      201,
    ],
    [
      'somebody more for a Role with more rights',
      'PATCH',
      () => '/api/v1/namespaces/default/roles/everything',
      { spec: { subjects: { users: ['plain'] } } },
      403,
    ],
    ['the password of who may do more', 'POST', () => `/api/v1/users/${boss}/password`, { password: 'a new password' }, 403],
    ['the address of who may do more', 'PATCH', () => `/api/v1/users/${boss}`, { email: 'me@example.org' }, 403],
    ['the end of who may do more', 'DELETE', () => `/api/v1/users/${boss}`, undefined, 403],
    ['the sessions of who may do more', 'DELETE', () => `/api/v1/users/${boss}/sessions`, undefined, 403],
    ['the remembered devices of who may do more', 'DELETE', () => `/api/v1/users/${boss}/remembered-devices`, undefined, 403],
    ['the password of who may do less', 'POST', () => `/api/v1/users/${plain}/password`, { password: 'a new password' }, 204],
    ['a user into a group with more rights', 'PATCH', () => `/api/v1/users/${plain}`, { groups: ['admins'] }, 403],
    ['a user into a harmless group', 'PATCH', () => `/api/v1/users/${plain}`, { groups: ['harmless'] }, 200],
    ['a user of a name that a Role waits for', 'POST', () => '/api/v1/users', { username: 'Not-There-Yet' }, 403],
    ['a user renamed to it', 'PATCH', () => `/api/v1/users/${plain}`, { username: 'not-there-yet' }, 403],
    [
      'a group below one with more rights',
      'POST',
      () => '/api/v1/groups',
      { name: 'sneaky', members: ['plain'], parents: ['admins'] },
      403,
    ],
    [
      'the same by a manifest of a user',
      'POST',
      () => '/api/v1/namespaces/default/users',
      { metadata: { name: 'sneaky' }, spec: { groups: ['admins'] } },
      403,
    ],
    [
      'the same by a manifest of a group',
      'POST',
      () => '/api/v1/namespaces/default/groups',
      { metadata: { name: 'sneaky' }, spec: { members: ['plain'], parents: ['admins'] } },
      403,
    ],
  ]
  for (const [title, method, path, body, expected] of rows)
    it(`${expected < 300 ? 'may give' : 'may not give'} ${title}`, async () => {
      const { status, text } = await api.call(method, path(), body, { token: await keeper() })
      assert.equal(status, expected, text)
    })

  it('may not put members into a group with more rights', async () => {
    const found = await api.call<{ items: { id: string }[] }>('GET', '/api/v1/groups?q=admins')
    const id = found.body.items[0]?.id
    const token = await keeper()
    assert.equal((await api.call('POST', `/api/v1/groups/${id}/members`, { add: ['plain'] }, { token })).status, 403)
    assert.equal((await api.call('PATCH', `/api/v1/groups/${id}`, { members: ['plain'] }, { token })).status, 403)
  })

  it('leaves nothing behind of what was refused', async () => {
    const users = await api.call<{ items: { username: string }[] }>('GET', '/api/v1/users?q=sneaky')
    assert.deepEqual(users.body.items, [])
    const member = await api.call<{ groups: string[] }>('GET', `/api/v1/users/${plain}`)
    assert.deepEqual(member.body.groups, ['harmless'])
  })

  it('refuses documents one by one', async () => {
    const text = ['AuthPolicy', 'Role']
      .map(
        (kind) =>
          `---\napiVersion: signet.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: scoped}\nspec: ${kind === 'Role' ? '{rules: []}' : '{}'}\n`,
      )
      .join('')
    const { status, body } = await api.call<{ result: string; errors: { detail: string }[] }[]>('POST', '/api/v1/apply', text, {
      token: await keeper(),
    })
    assert.equal(status, 422)
    assert.deepEqual(
      body.map(({ result }) => result),
      ['refused', 'created'],
    )
    assert.match(body[0]?.errors[0]?.detail ?? '', /right to create AuthPolicy/)
  })

  it('tells nobody of what they have no right to know of, by no refusal of an apply', async () => {
    const labels = { secret: 'yes' }
    const path = '/api/v1/namespaces/default/claimmappers'
    const spec = { authServerRef: { name: 'default' }, claims: [{ name: 'department', value: '"x"' }] }
    const made = await api.call('POST', path, { metadata: { name: 'there', labels }, spec })
    assert.equal(made.status, 201, made.text)
    const token = await keeper()
    const refusals = async (resourceVersion?: string) => {
      const documents = ['there', 'nowhere'].map((name) => ({
        apiVersion: 'signet.dev/v1alpha1',
        kind: 'ClaimMapper',
        metadata: { name, resourceVersion },
        spec,
      }))
      const answers = documents.map((document) => api.call<{ errors: unknown }[]>('POST', '/api/v1/apply?dryRun=true', document, { token }))
      return (await Promise.all(answers)).map(({ body }) => body[0]?.errors)
    }
    for (const version of [undefined, '1']) {
      const [there, nowhere] = await refusals(version)
      assert.deepEqual(there, nowhere)
    }
    const role = { apiVersion: 'signet.dev/v1alpha1', kind: 'Role', metadata: { name: 'bare' }, spec: { rules: [] } }
    const { status, text } = await api.call('POST', '/api/v1/apply?dryRun=true&prune=secret%3Dyes', role, { token })
    assert.equal(status, 200, text)
    assert.doesNotMatch(text, /there/)
  })
})

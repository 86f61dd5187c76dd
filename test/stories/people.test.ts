import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newVisitor, walk } from '../support/http.ts'
import { exchange, makeClient, signIn } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

interface User {
  id: string
  username: string
  email: string | null
  name: string | null
  active: boolean
  groups: string[]
  attributes: Record<string, unknown>
}
interface Group {
  id: string
  name: string
  members: string[]
  parents: string[]
}
interface List<Item> {
  items: Item[]
  next: string | null
}
interface ProblemBody {
  status: number
  title: string
  errors?: { pointer: string; detail: string }[]
}

describe('users and groups over REST', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
  })
  after(() => signet.stop())

  test('a user is made, read, changed by merge patch and deleted', async () => {
    const made = await signet.api<User>('POST', '/api/v1/users', {
      username: 'grace',
      email: 'grace@example.com',
      name: 'Grace Hopper',
      locale: 'en',
      attributes: { rank: 'commodore' },
    })
    assert.equal(made.status, 201, made.text)
    assert.equal(new URL(made.headers.get('location') ?? '', signet.issuer).pathname, `/api/v1/users/${made.body.id}`)
    const path = `/api/v1/users/${made.body.id}`
    const read = await signet.api<User>('GET', path)
    assert.deepEqual(read.body, made.body)
    const etag = read.headers.get('etag')
    assert.ok(etag)
    const patched = await signet.api<User>(
      'PATCH',
      path,
      { name: null, attributes: { rank: 'admiral' } },
      { headers: { 'if-match': etag } },
    )
    assert.equal(patched.status, 200, patched.text)
    assert.deepEqual(patched.body.attributes, { rank: 'admiral' })
    assert.equal((await signet.api('PATCH', path, { name: 'Late' }, { headers: { 'if-match': etag } })).status, 412)
    assert.equal((await signet.api('DELETE', path)).status, 204)
    assert.equal((await signet.api('GET', path)).status, 404)
    assert.equal((await signet.api('DELETE', path)).status, 404)
  })

  test('a name is taken whatever its case', async () => {
    assert.equal((await signet.api('POST', '/api/v1/users', { username: 'Linus' })).status, 201)
    const second = await signet.api<ProblemBody>('POST', '/api/v1/users', { username: 'linus' })
    assert.equal(second.status, 409)
    assert.match(second.headers.get('content-type') ?? '', /^application\/problem\+json/)
  })

  test('every bad field is named at once', async () => {
    const { status, body } = await signet.api<ProblemBody>('POST', '/api/v1/users', {
      username: '',
      email: 'nowhere',
      active: 'yes',
      colour: 'blue',
    })
    assert.ok([400, 422].includes(status), String(status))
    assert.deepEqual(new Set(body.errors?.map(({ pointer }) => pointer.split('/')[1])), new Set(['username', 'email', 'active', 'colour']))
  })

  test('lists have cursors, a limit and a search', async () => {
    for (let index = 0; index < 25; index++)
      await signet.api('POST', '/api/v1/users', { username: `page-${String(index).padStart(2, '0')}`, name: `Reader ${index}` })
    const seen: string[] = []
    let next: string | null = null
    do {
      const query: string = new URLSearchParams({ q: 'page-', limit: '10', ...(next ? { cursor: next } : {}) }).toString()
      const { body } = await signet.api<List<User>>('GET', `/api/v1/users?${query}`)
      assert.ok(body.items.length <= 10)
      seen.push(...body.items.map(({ username }) => username))
      next = body.next
    } while (next)
    assert.equal(new Set(seen).size, 25)
    assert.equal(seen.length, 25)
    for (const limit of ['0', '501', 'many', '-1'])
      assert.ok([400, 422].includes((await signet.api('GET', `/api/v1/users?limit=${limit}`)).status), limit)
    assert.ok([400, 422].includes((await signet.api('GET', '/api/v1/users?cursor=nonsense')).status))
    assert.equal((await signet.api<List<User>>('GET', '/api/v1/users?q=%25')).body.items.length, 0, 'a search is literal')
  })

  test('groups nest, a member of a child is a member of its parents, and a circle is refused', async () => {
    await signet.api('POST', '/api/v1/users', { username: 'nested' })
    const all = await signet.api<Group>('POST', '/api/v1/groups', { name: 'all-staff' })
    assert.equal(all.status, 201, all.text)
    const team = await signet.api<Group>('POST', '/api/v1/groups', { name: 'team-red', members: ['nested'], parents: ['all-staff'] })
    assert.equal(team.status, 201, team.text)
    assert.deepEqual([team.body.members, team.body.parents], [['nested'], ['all-staff']])
    const { body } = await signet.api<List<User>>('GET', '/api/v1/users?q=nested')
    assert.deepEqual(body.items[0]?.groups, ['team-red'], 'the groups they are in by themselves')
    await signet.api('POST', `/api/v1/users/${body.items[0]?.id}/password`, { password: 'in a group of a group' })
    const client = await makeClient(signet, 'roster')
    const signedIn = await signIn(signet, client, {
      username: 'nested',
      password: 'in a group of a group',
      parameters: { scope: 'openid groups' },
    })
    const { body: tokens } = await exchange(signet, client, signedIn)
    const userinfo = await fetch(`${signet.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
    assert.deepEqual(((await userinfo.json()) as { groups: string[] }).groups.toSorted(), ['all-staff', 'team-red'])
    const circle = await signet.api('PATCH', `/api/v1/groups/${all.body.id}`, { parents: ['team-red'] })
    assert.ok(circle.status >= 400 && circle.status < 500, String(circle.status))
    const unknown = await signet.api('PATCH', `/api/v1/groups/${all.body.id}`, { members: ['no-such-person'] })
    assert.equal(unknown.status, 422)
  })

  test('a user has sessions that can be listed and ended', async () => {
    const { body: user } = await signet.api<User>('POST', '/api/v1/users', { username: 'session-holder' })
    const set = await signet.api('POST', `/api/v1/users/${user.id}/password`, { password: 'hold on to this' })
    assert.ok([200, 204].includes(set.status), set.text)
    const visitor = newVisitor(signet.issuer)
    await walk(visitor, await visitor.open('/flow/authentication'), { username: 'session-holder', password: 'hold on to this' })
    assert.equal((await visitor.request('/api/v1/me')).status, 200)
    const { body } = await signet.api<List<{ id: string }>>('GET', `/api/v1/users/${user.id}/sessions`)
    assert.equal(body.items.length, 1)
    assert.equal((await signet.api('DELETE', `/api/v1/users/${user.id}/sessions/${body.items[0]?.id}`)).status, 204)
    assert.equal((await visitor.request('/api/v1/me')).status, 401)
  })

  test('a password never comes back and is never in an event', async () => {
    const { body: user } = await signet.api<User>('POST', '/api/v1/users', { username: 'quiet' })
    await signet.api('POST', `/api/v1/users/${user.id}/password`, { password: 'a very secret one' })
    for (const path of [`/api/v1/users/${user.id}`, '/api/v1/events?limit=500', `/api/v1/users/${user.id}/credentials`]) {
      const { text, status } = await signet.api('GET', path)
      assert.equal(status, 200, path)
      assert.ok(!text.includes('a very secret one') && !text.includes('$argon2'), path)
    }
  })

  test('User and Group are kinds as well: manifests and REST show the same rows', async () => {
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: User
metadata: { name: margaret, namespace: default }
spec: { username: margaret, email: margaret@example.com, name: Margaret Hamilton }
---
apiVersion: signet.dev/v1alpha1
kind: Group
metadata: { name: apollo, namespace: default }
spec: { name: apollo, members: [margaret] }
---
apiVersion: signet.dev/v1alpha1
kind: User
metadata: { name: katherine, namespace: default }
spec: { username: katherine, groups: [trajectory] }
---
apiVersion: signet.dev/v1alpha1
kind: Group
metadata: { name: trajectory, namespace: default }
spec: { members: [katherine] }
`)
    const { body } = await signet.api<List<User>>('GET', '/api/v1/users?q=margaret')
    assert.deepEqual([body.items[0]?.email, body.items[0]?.groups], ['margaret@example.com', ['apollo']])
    const resource = await signet.api<{ spec: { username: string } }>('GET', '/api/v1/namespaces/default/users/margaret')
    assert.equal(resource.body.spec.username, 'margaret')
    assert.equal((await signet.api('DELETE', `/api/v1/users/${body.items[0]?.id}`)).status, 204)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/default/users/margaret')).status, 404)
  })

  test('users and groups are events', async () => {
    const { body } = await signet.api<List<{ action: string; target: { kind: string; name: string } }>>(
      'GET',
      '/api/v1/events?action=user.&limit=500',
    )
    const actions = new Set(body.items.map(({ action }) => action))
    for (const action of ['user.created', 'user.deleted']) assert.ok(actions.has(action), [...actions].join())
    assert.ok([...actions].every((action) => action.startsWith('user.')))
  })
})

/** Second factors over REST: whose a person sees, what an administrator may take away. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { addFactor } from '#/identity/authenticators.ts'
import { createSession } from '#/identity/sessions.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { type Api, issuerUrl, openApi } from '../../test/support/api.ts'

interface Listed {
  items: { id: string; type: string; name: string | null; createdAt: string; lastUsedAt: string | null }[]
  next: null
}

let api: Api
before(async () => {
  api = await openApi()
})
after(() => api.close())

const person = async (username: string): Promise<string> => (await api.call<{ id: string }>('POST', '/api/v1/users', { username })).body.id

const cookieOf = async (user_id: string, username: string) => {
  const { token } = await createSession(api.db, { user_id, username, amr: ['pwd'], acr: '1fa', issuer: issuerUrl }, new Date())
  return { token: null, headers: { cookie: `signet_session=${token}` } }
}

const madeAt = new Date('2026-01-02T03:04:05.678Z')
const add = (user_id: string, name: string) => {
  const totp = { sealed_secret: Buffer.from('not to be shown'), last_step: 4711 }
  return addFactor(api.db, { authenticator_id: uuidv7(madeAt), user_id, type: 'totp', name, totp }, { actor: 'tester' }, madeAt)
}

describe('GET /api/v1/me/factors', () => {
  it('shows the factors of who is signed in, and no secret', async () => {
    const anna = await person('anna')
    const { id } = await add(anna, 'Phone')
    await add(await person('otto'), 'Of Otto')
    const { status, body, text } = await api.call<Listed>('GET', '/api/v1/me/factors', undefined, await cookieOf(anna, 'anna'))
    assert.equal(status, 200)
    assert.deepEqual(body, { items: [{ id, type: 'totp', name: 'Phone', createdAt: madeAt.toISOString(), lastUsedAt: null }], next: null })
    assert.ok(!/secret|4711/.test(text))
  })

  it('answers 401 without a session, also to a token of full rights', async () => {
    for (const token of [null, api.full]) assert.equal((await api.call('GET', '/api/v1/me/factors', undefined, { token })).status, 401)
  })
})

describe('/api/v1/users/{id}/credentials', () => {
  const scope = (verbs: string[], kinds = ['credentials']) => ({ kinds, namespaces: ['*'], verbs })

  it('lists the password and the factors', async () => {
    const user = await person('berta')
    await api.call('POST', `/api/v1/users/${user}/password`, { password: 'long enough for us' })
    await add(user, 'Phone')
    const { body } = await api.call<Listed>('GET', `/api/v1/users/${user}/credentials`)
    assert.deepEqual(
      body.items.map(({ type, name }) => [type, name]),
      [
        ['password', null],
        ['totp', 'Phone'],
      ],
    )
    for (const item of body.items) assert.deepEqual(Object.keys(item).sort(), ['createdAt', 'id', 'lastUsedAt', 'name', 'type'])
  })

  it('takes a factor away, once, with an event', async () => {
    const user = await person('carla')
    const { id } = await add(user, 'Phone')
    assert.equal((await api.call('DELETE', `/api/v1/users/${user}/credentials/${id}`)).status, 204)
    assert.equal((await api.call('DELETE', `/api/v1/users/${user}/credentials/${id}`)).status, 404)
    const { body } = await api.call<{ items: object[] }>('GET', '/api/v1/events?action=factor.removed&limit=1')
    const { target, data, network } = body.items[0] as { target: object; data: object; network: string }
    assert.deepEqual([target, data, network], [{ kind: 'User', name: 'carla' }, { type: 'totp', name: 'Phone' }, '192.0.2.7'])
  })

  it('removes no password, nothing of another person, and nothing that is not there', async () => {
    const [one, other] = [await person('dora'), await person('emil')]
    const { id } = await add(other, 'Phone')
    const remove = async (credential: string) => (await api.call('DELETE', `/api/v1/users/${one}/credentials/${credential}`)).status
    assert.equal(await remove('password'), 409)
    assert.equal(await remove(id), 404)
    assert.equal(await remove('nonsense'), 404)
    assert.equal((await api.call<Listed>('GET', `/api/v1/users/${other}/credentials`)).body.items.length, 1)
  })

  it('asks for the right to delete credentials, and for all that the person may do', async () => {
    const user = await person('fritz')
    const { id } = await add(user, 'Phone')
    const path = `/api/v1/users/${user}/credentials/${id}`
    assert.equal((await api.call('DELETE', path, undefined, { token: null })).status, 401)
    assert.equal((await api.call('DELETE', path, undefined, await cookieOf(user, 'fritz'))).status, 403)
    for (const verbs of [['list', 'get', 'update', 'create']])
      assert.equal((await api.call('DELETE', path, undefined, { token: await api.token(scope(verbs)) })).status, 403)
    assert.equal((await api.call('DELETE', path, undefined, { token: await api.token(scope(['*'], ['users', 'sessions'])) })).status, 403)
    await api.call('POST', '/api/v1/namespaces/default/roles', {
      metadata: { name: 'fritz' },
      spec: { rules: [{ kinds: ['events'], verbs: ['*'] }], subjects: { users: ['fritz'] } },
    })
    assert.equal((await api.call('DELETE', path, undefined, { token: await api.token(scope(['*'])) })).status, 403)
    const above = await api.token(scope(['*'], ['credentials', 'events']))
    assert.equal((await api.call('DELETE', path, undefined, { token: above })).status, 204)
  })
})

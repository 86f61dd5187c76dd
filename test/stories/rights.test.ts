import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newVisitor, type Visitor, walk } from '../support/http.ts'
import { clientManifest } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

describe('rights', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
    await signet.apply(clientManifest('seen'))
  })
  after(() => signet.stop())

  const makeToken = async (body: Record<string, unknown>) => {
    const { status, body: made, text } = await signet.api<{ token: string; id: string }>('POST', '/api/v1/tokens', body)
    assert.equal(status, 201, text)
    return made
  }

  test('a token reaches the kinds, namespaces and verbs it was made for, and nothing else', async () => {
    const { token } = await makeToken({ name: 'reader', scope: { kinds: ['AuthClient'], namespaces: ['default'], verbs: ['get', 'list'] } })
    const status = async (method: string, path: string, body?: unknown) => (await signet.api(method, path, body, { token })).status
    assert.equal(await status('GET', '/api/v1/namespaces/default/authclients/seen'), 200)
    assert.equal(await status('GET', '/api/v1/namespaces/default/authclients'), 200)
    assert.equal(await status('GET', '/api/v1/namespaces/elsewhere/authclients'), 403)
    assert.equal(await status('GET', '/api/v1/namespaces/default/authpolicies/default'), 403)
    assert.equal(await status('DELETE', '/api/v1/namespaces/default/authclients/seen'), 403)
    assert.ok([403, 422].includes(await status('POST', '/api/v1/apply', clientManifest('unwanted'))))
    assert.equal((await signet.api('GET', '/api/v1/namespaces/default/authclients/unwanted')).status, 404)
    assert.equal(await status('GET', '/api/v1/namespaces/default/authclients/seen/credentials'), 403)
    for (const path of ['/api/v1/users', '/api/v1/groups', '/api/v1/events', '/api/v1/tokens'])
      assert.equal(await status('GET', path), 403, path)
  })

  test('no token makes one that may do more than itself', async () => {
    const { token } = await makeToken({ name: 'maker', scope: { kinds: ['tokens'], namespaces: ['*'], verbs: ['create', 'list'] } })
    const { status } = await signet.api(
      'POST',
      '/api/v1/tokens',
      { name: 'wider', scope: { kinds: ['*'], namespaces: ['*'], verbs: ['*'] } },
      { token },
    )
    assert.equal(status, 403)
  })

  test('a token is shown once, listed without its value, and ends when it is deleted', async () => {
    const { token, id } = await makeToken({ name: 'short', scope: { kinds: ['*'], namespaces: ['*'], verbs: ['*'] } })
    assert.equal((await signet.api('GET', '/api/v1/users', undefined, { token })).status, 200)
    const { text } = await signet.api('GET', '/api/v1/tokens')
    assert.ok(text.includes(id) && !text.includes(token))
    assert.equal((await signet.api('DELETE', `/api/v1/tokens/${id}`)).status, 204)
    assert.equal((await signet.api('GET', '/api/v1/users', undefined, { token })).status, 401)
  })

  test('a person may do what a Role that names them or their group allows, from our own pages only', async () => {
    const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'dora' })
    await signet.api('POST', `/api/v1/users/${body.id}/password`, { password: 'desk of support' })
    await signet.api('POST', '/api/v1/groups', { name: 'support', members: ['dora'] })
    const visitor = newVisitor(signet.issuer)
    await walk(visitor, await visitor.open('/flow/authentication'), { username: 'dora', password: 'desk of support' })
    const get = async (path: string, from: Visitor = visitor) =>
      (await from.request(path, { headers: { accept: 'application/json' } })).status
    assert.equal(await get('/api/v1/me'), 200)
    assert.equal(await get('/api/v1/users'), 403)
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Role
metadata: { name: support, namespace: default }
spec:
  rules: [{ kinds: [users], namespaces: ['*'], verbs: [get, list, update] }]
  subjects: { groups: [support] }
`)
    assert.equal(await get('/api/v1/users'), 200)
    assert.equal(await get('/api/v1/events'), 403)
    const patch = (headers: Record<string, string>) =>
      visitor.request(`/api/v1/users/${body.id}`, {
        method: 'PATCH',
        body: JSON.stringify({ name: 'Dora' }),
        headers: { 'content-type': 'application/merge-patch+json', accept: 'application/json', ...headers },
      })
    assert.equal((await patch({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).status, 403)
    assert.equal((await patch({})).status, 403, 'nothing says that it comes from our own pages')
    assert.equal((await patch({ origin: signet.issuer, 'sec-fetch-site': 'same-origin' })).status, 200)
  })
})

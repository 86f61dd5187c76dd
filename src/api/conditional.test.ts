/** Conditional requests (RFC 9110 section 13) to everything that has an ETag. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Api, openApi } from '../../test/support/api.ts'

let api: Api
before(async () => {
  api = await openApi()
})
after(() => api.close())

const places = [
  {
    what: 'a resource',
    collection: '/api/v1/namespaces/default/authpolicies',
    body: { metadata: { name: 'one' }, spec: {} },
    change: { metadata: { labels: { a: 'b' } } },
    path: (_body: unknown) => '/api/v1/namespaces/default/authpolicies/one',
  },
  {
    what: 'a user',
    collection: '/api/v1/users',
    body: { username: 'ada' },
    change: { name: 'Ada' },
    path: (body: unknown) => `/api/v1/users/${(body as { id: string }).id}`,
  },
  {
    what: 'a group',
    collection: '/api/v1/groups',
    body: { name: 'makers' },
    change: { attributes: { a: 1 } },
    path: (body: unknown) => `/api/v1/groups/${(body as { id: string }).id}`,
  },
]

for (const { what, collection, body, change, path } of places)
  describe(`conditional requests to ${what}`, () => {
    let address: string
    const current = async () => (await api.call('GET', address)).headers.etag ?? ''
    const status = async (method: string, headers: Record<string, string>, sent?: unknown) =>
      (await api.call(method, address, sent, { headers })).status

    before(async () => {
      const made = await api.call('POST', collection, body)
      assert.equal(made.status, 201, made.text)
      address = path(made.body)
      assert.equal(made.headers.etag, await current())
    })

    it('GET with the ETag that is there is answered 304 without a body', async () => {
      const etag = await current()
      for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const answer = await api.call('GET', address, undefined, { headers: { 'if-none-match': header } })
        assert.deepEqual([answer.status, answer.text, answer.headers.etag], [304, '', etag])
      }
      assert.equal(await status('GET', { 'if-none-match': '"other"' }), 200)
    })

    it('a change passes when one tag of If-Match is there, and never by a weak one', async () => {
      assert.equal(await status('PATCH', { 'if-match': `"1", ${await current()}` }, change), 200)
      assert.equal(await status('PATCH', { 'if-match': `W/${await current()}` }, change), 412)
      assert.equal(await status('PATCH', { 'if-match': '"1", "2"' }, change), 412)
    })

    it('If-None-Match that meets what is there refuses a change', async () => {
      for (const header of ['*', await current()]) {
        assert.equal(await status('PATCH', { 'if-none-match': header }, change), 412)
        assert.equal(await status('DELETE', { 'if-none-match': header }), 412)
      }
      assert.equal(await status('PATCH', { 'if-none-match': '"1"' }, change), 200)
    })

    it('DELETE passes when one tag of If-Match is there', async () => {
      assert.equal(await status('DELETE', { 'if-match': '"1"' }), 412)
      assert.equal(await status('DELETE', { 'if-match': `"1", ${await current()}` }), 204)
    })
  })

it('PUT with If-None-Match: * replaces nothing that exists', async () => {
  const path = '/api/v1/namespaces/default/authpolicies/kept'
  await api.call('POST', '/api/v1/namespaces/default/authpolicies', { metadata: { name: 'kept' }, spec: {} })
  const before = await api.call('GET', path)
  const body = { spec: { enforcePKCE: false } }
  assert.equal((await api.call('PUT', path, body, { headers: { 'if-none-match': '*' } })).status, 412)
  assert.equal((await api.call('GET', path)).text, before.text)
  const headers = { 'if-match': `"1", ${before.headers.etag}` }
  assert.equal((await api.call('PUT', path, body, { headers })).status, 200)
  assert.equal((await api.call('PUT', path, body, { headers })).status, 412)
})

it('an Outpost is sent each time, since its processes come and go without a new version', async () => {
  const path = '/api/v1/namespaces/default/outposts/edge'
  await api.call('POST', '/api/v1/namespaces/default/outposts', { metadata: { name: 'edge' }, spec: {} })
  const { etag = '' } = (await api.call('GET', path)).headers
  assert.equal((await api.call('GET', path, undefined, { headers: { 'if-none-match': etag } })).status, 200)
})

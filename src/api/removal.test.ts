/** DELETE of what others stand on, over REST. One story: later tests stand on earlier ones. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Api, issuerUrl, openApi } from '../../test/support/api.ts'

interface Refusal {
  detail: string
}
interface Result {
  kind: string
  name: string
  result: string
  errors: { detail: string }[]
}

let api: Api
before(async () => {
  api = await openApi()
  assert.equal((await apply(store, main, resource('AuthServer', 'elsewhere', { issuerUrl: 'https://b.example.com' }))).status, 200)
})
after(() => api.close())

const resource = (kind: string, name: string, spec: object) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind,
  metadata: { name, labels: { set: 'one' } },
  spec,
})
const store = resource('UserStore', 'default', { type: 'postgres' })
const main = resource('AuthServer', 'main', { issuerUrl, userStoreRef: { name: 'default' } })
const apply = (...documents: object[]) =>
  api.call<Result[]>('POST', '/api/v1/apply', documents.map((each) => JSON.stringify(each)).join('\n---\n'))
const remove = (plural: string, name: string) => api.call<Refusal>('DELETE', `/api/v1/namespaces/default/${plural}/${name}`)
const has = async (plural: string, name: string) => (await api.call('GET', `/api/v1/namespaces/default/${plural}/${name}`)).status === 200

test('a UserStore in which AuthServers have their people stays, named or by default', async () => {
  const { status, body } = await remove('userstores', 'default')
  assert.equal(status, 409)
  assert.match(body.detail, /AuthServer default\/main, default\/elsewhere.* UserStore default\/default.*userStoreRef/)
  assert.ok(await has('userstores', 'default'))
})

test('a UserStore that nobody uses goes', async () => {
  await apply(resource('UserStore', 'spare', { type: 'postgres' }))
  assert.equal((await remove('userstores', 'spare')).status, 204)
})

test('the last AuthServer at BASE_URL stays, others go', async () => {
  const { status, body } = await remove('authservers', 'main')
  assert.equal(status, 409)
  assert.match(body.detail, /default\/main is the last one at localhost:9000/)
  assert.ok(await has('authservers', 'main'))
  assert.equal((await remove('authservers', 'elsewhere')).status, 204)
})

test('of two AuthServers at BASE_URL one may go, also when both are asked for at the same time', async () => {
  await apply(resource('AuthServer', 'second', { issuerUrl: `${issuerUrl}/second` }))
  const both = await Promise.all([remove('authservers', 'main'), remove('authservers', 'second')])
  assert.deepEqual(both.map(({ status }) => status).toSorted(), [204, 409])
  await apply(main)
  await remove('authservers', 'second')
})

test('pruning refuses alike, and takes whatever refers first', async () => {
  const other = resource('UserStore', 'other', { type: 'postgres' })
  const guest = resource('AuthServer', 'guest', { issuerUrl: 'https://guest.example.com', userStoreRef: { name: 'other' } })
  await apply(other, guest)
  const pruned = await api.call<Result[]>('POST', '/api/v1/apply?prune=set%3Done', JSON.stringify(resource('AuthPolicy', 'kept', {})))
  assert.equal(pruned.status, 422)
  assert.deepEqual(
    pruned.body.map(({ kind, name, result }) => `${kind} ${name} ${result}`),
    [
      'AuthPolicy kept created',
      'AuthServer guest deleted',
      'AuthServer main refused',
      'UserStore default refused',
      'UserStore other deleted',
    ],
  )
  assert.match(pruned.body.find(({ name }) => name === 'main')?.errors[0]?.detail ?? '', /is the last one/)
})

test('who may not delete is not told what would be in the way', async () => {
  const token = await api.token({ kinds: ['UserStore'], namespaces: ['*'], verbs: ['get'] })
  const { status } = await api.call('DELETE', '/api/v1/namespaces/default/userstores/default', undefined, { token })
  assert.equal(status, 403)
})

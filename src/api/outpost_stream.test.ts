/** Outposts over REST: who may name one, and that its stream is there for those who read it. What it says is tested with real ones (test/stories/). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { type Api, openApi } from '../../test/support/api.ts'

let api: Api
before(async () => {
  api = await openApi()
  for (const namespace of ['own', 'theirs']) {
    const { status, text } = await api.call('POST', `/api/v1/namespaces/${namespace}/outposts`, { metadata: { name: 'edge' }, spec: {} })
    assert.equal(status, 201, text)
  }
})
after(() => api.close())

const applications = { kinds: ['Application'], namespaces: ['own'], verbs: ['create', 'get', 'update'] }
const spec = (outpostRef?: object) => ({
  displayName: 'Wiki',
  authServerRef: { name: 'default', namespace: 'default' },
  proxy: { mode: 'proxy', externalUrl: 'https://wiki.example', upstreamUrl: 'http://10.0.0.1', ...(outpostRef ? { outpostRef } : {}) },
})
const path = '/api/v1/namespaces/own/applications'
const theirs = { name: 'edge', namespace: 'theirs' }

interface Refusal {
  errors: { pointer: string; detail: string }[]
}

test('an Application names an Outpost of another namespace only for those who may use Outposts there', async () => {
  const token = await api.token(applications)
  const create = (name: string, outpostRef?: object, as = token) =>
    api.call<Refusal>('POST', path, { metadata: { name }, spec: spec(outpostRef) }, { token: as })
  assert.equal((await create('embedded')).status, 201)
  assert.equal((await create('of-own', { name: 'edge' })).status, 201)
  const refused = await create('of-theirs', theirs)
  assert.equal(refused.status, 403, refused.text)
  assert.deepEqual(
    refused.body.errors.map(({ pointer }) => pointer),
    ['/spec/proxy/outpostRef'],
  )
  assert.match(refused.body.errors[0]?.detail ?? '', /use Outpost in namespace theirs/)

  // By an administrator it is named; what it does there is still not for those to change who may not.
  assert.equal((await create('of-theirs', theirs, api.full)).status, 201)
  const upstream = { spec: { proxy: { upstreamUrl: 'http://10.9.9.9' } } }
  assert.equal((await api.call('PATCH', `${path}/of-theirs`, upstream, { token })).status, 403)
  assert.equal((await api.call('PATCH', `${path}/of-own`, { spec: { proxy: { outpostRef: theirs } } }, { token })).status, 403)
  assert.equal((await api.call('PATCH', `${path}/of-own`, upstream, { token })).status, 200)
})

test('a manifest that is applied by such a caller is refused for that document', async () => {
  const token = await api.token({ ...applications, verbs: [...applications.verbs, 'list', 'delete'] })
  const document = {
    apiVersion: 'signet.dev/v1alpha1',
    kind: 'Application',
    metadata: { name: 'sent', namespace: 'own' },
    spec: spec(theirs),
  }
  await api.call('POST', '/api/v1/apply', JSON.stringify(document), { token })
  assert.equal((await api.call('GET', `${path}/sent`)).status, 404)
  await api.call('POST', '/api/v1/apply', JSON.stringify(document))
  assert.equal((await api.call('GET', `${path}/sent`)).status, 200)
})

test('HEAD opens no stream', async () => {
  const query = new URLSearchParams({ protocol: '1', version: '1.0.0', instance: crypto.randomUUID(), hostname: 'x', outpost: 'own/edge' })
  const token = await api.token({ kinds: ['outposts'], namespaces: ['own'], verbs: ['use'] })
  assert.equal((await api.call('HEAD', `/api/v1/outposts/stream?${query}`, undefined, { token })).status, 405)
  assert.deepEqual(await api.db.any(sql`select from outpost_instances`), [])
})

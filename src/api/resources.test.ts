import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Api, openApi } from '../../test/support/api.ts'

interface Resource {
  kind: string
  metadata: { name: string; namespace: string; labels: Record<string, string>; generation: number; resourceVersion: string }
  spec: Record<string, unknown>
  status: { conditions?: { type: string; status: string; reason: string; message: string }[] }
}
interface Page {
  items: Resource[]
  next: string | null
}
interface Refusal {
  detail: string
  errors: { pointer: string; detail: string }[]
}
interface Result {
  kind: string
  namespace: string
  name: string
  result: string
  errors: { pointer: string; detail: string; line?: number }[]
  status: Resource['status']
}

let api: Api
before(async () => {
  api = await openApi()
})
after(() => api.close())

const manifests = `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata:
  name: strict
  labels: {server: main}
spec:
  token: {accessTokenTTL: 5m}
  allowedGrantTypes: [authorization_code, refresh_token]
  enforcePKCE: true
  allowedScopes: [openid, profile]
---
apiVersion: signet.dev/v1alpha1
kind: UserStore
metadata: {name: default}
spec: {type: postgres}
---
apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: {name: main}
spec:
  issuerUrl: http://localhost:9000
  policySelector: {matchLabels: {server: main}}
---
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: {name: shop, labels: {app: shop}}
spec:
  authServerRef: {name: main}
  redirectUris: [https://shop.example.org/callback]
  scopes: [openid, profile]
`

const outside = `
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata:
  name: outside
spec:
  authServerRef: {name: main}
  redirectUris:
    - https://outside.example.org/callback
  scopes: [openid, payments]
  grantTypes: [implicit]
`

describe('POST /api/v1/apply', () => {
  it('tells what would happen and changes nothing with dryRun=true', async () => {
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply?dryRun=true', manifests)
    assert.equal(status, 200, JSON.stringify(body))
    assert.deepEqual(
      body.map(({ result }) => result),
      ['created', 'created', 'created', 'created'],
    )
    assert.equal((await api.call('GET', '/api/v1/namespaces/default/authclients/shop')).status, 404)
  })

  it('answers a result for each document, in order, with its status', async () => {
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply', manifests)
    assert.equal(status, 200, JSON.stringify(body))
    assert.deepEqual(
      body.map(({ kind, namespace, name, result }) => [kind, namespace, name, result]),
      [
        ['AuthPolicy', 'default', 'strict', 'created'],
        ['UserStore', 'default', 'default', 'created'],
        ['AuthServer', 'default', 'main', 'created'],
        ['AuthClient', 'default', 'shop', 'created'],
      ],
    )
    const again = await api.call<Result[]>('POST', '/api/v1/apply', manifests)
    assert.ok(again.body.every(({ result }) => result === 'unchanged'))
    const client = again.body[3]?.status.conditions?.find(({ type }) => type === 'Ready')
    assert.equal(client?.reason, 'ClientProvisioned')
  })

  it('answers 422 and every offending field with its line when a client is outside of its policy', async () => {
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply', outside)
    assert.equal(status, 422)
    assert.equal(body[0]?.result, 'refused')
    const text = JSON.stringify(body[0]?.errors)
    assert.match(text, /payments/)
    assert.match(text, /implicit/)
    assert.ok(body[0]?.errors.every(({ line }) => typeof line === 'number'))
    assert.equal((await api.call('GET', '/api/v1/namespaces/default/authclients/outside')).status, 404)
  })

  it('takes JSON as well', async () => {
    const document = { apiVersion: 'signet.dev/v1alpha1', kind: 'Group', metadata: { name: 'staff' }, spec: {} }
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply', document)
    assert.equal(status, 200, JSON.stringify(body))
    assert.equal(body[0]?.result, 'created')
  })

  it('takes a JSON array as a document for each of its resources', async () => {
    const group = (name: string) => ({ apiVersion: 'signet.dev/v1alpha1', kind: 'Group', metadata: { name }, spec: {} })
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply', [
      group('first'),
      { ...group('bad'), kind: 'Bogus' },
      group('last'),
    ])
    assert.deepEqual([status, body.map(({ name, result }) => `${name} ${result}`)], [422, ['first created', 'bad refused', 'last created']])
  })

  it('deletes what the selector selects and no document names', async () => {
    const spare = manifests.replaceAll('shop', 'spare').split('---')[3] ?? ''
    assert.equal((await api.call('POST', '/api/v1/apply', spare)).status, 200)
    const kept = manifests.split('---')[3] ?? ''
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply?prune=app%3Dspare', kept)
    assert.equal(status, 200)
    assert.deepEqual(
      body.map(({ name, result }) => [name, result]),
      [
        ['shop', 'unchanged'],
        ['spare', 'deleted'],
      ],
    )
  })

  const rows: [string, string, string, Record<string, string>, number][] = [
    ['what is no YAML', 'a: [', '', {}, 422],
    ['an empty body', '', '', {}, 400],
    ['an unknown query', 'a: b', '?force=true', {}, 422],
    ['dryRun neither true nor false', 'a: b', '?dryRun=yes', {}, 422],
    ['prune without a label', 'a: b', '?prune=%00', {}, 422],
    ['another content type', 'a: b', '', { 'content-type': 'text/plain' }, 415],
    ['more than four megabytes', `a: ${'x'.repeat(4_300_000)}`, '', {}, 413],
    ['aliases that grow without bound', `a: &a [1,1]\nb: &b [*a,*a]\nc: &c [${Array(300).fill('*b').join(',')}]`, '', {}, 422],
  ]
  for (const [title, body, query, headers, expected] of rows)
    it(`answers ${expected} to ${title}`, async () => {
      const { status, text } = await api.call('POST', `/api/v1/apply${query}`, body, { headers })
      assert.equal(status, expected, text.slice(0, 300))
    })
})

describe('/api/v1/namespaces/{ns}/{plural}', () => {
  const path = '/api/v1/namespaces/team-a/roles'
  const body = { metadata: { name: 'readers', labels: { team: 'a' } }, spec: { rules: [{ kinds: ['authclients'], verbs: ['get'] }] } }

  it('creates once, with its address', async () => {
    const made = await api.call<Resource>('POST', path, body)
    assert.equal(made.status, 201, made.text)
    assert.equal(made.headers.location, `${path}/readers`)
    assert.equal(made.body.metadata.namespace, 'team-a')
    assert.equal((await api.call('POST', path, body)).status, 409)
  })

  it('reads with an ETag, and refuses to write over what changed since', async () => {
    const read = await api.call<Resource>('GET', `${path}/readers`)
    assert.equal(read.headers.etag, `"${read.body.metadata.resourceVersion}"`)
    const headers = { 'if-match': read.headers.etag ?? '' }
    const patch = { spec: { description: 'They read.' } }
    const patched = await api.call<Resource>('PATCH', `${path}/readers`, patch, { headers })
    assert.equal(patched.status, 200, patched.text)
    assert.equal(patched.body.metadata.generation, 2)
    assert.equal((await api.call('PATCH', `${path}/readers`, { spec: { description: 'Late.' } }, { headers })).status, 412)
    assert.equal((await api.call('DELETE', `${path}/readers`, undefined, { headers })).status, 412)
    assert.equal((await api.call('PUT', `${path}/readers`, body, { headers: { 'if-match': '*' } })).status, 200)
  })

  it('names every bad field', async () => {
    const bad = { metadata: { name: 'Bad Name' }, spec: { rules: [{ kinds: [], verbs: ['fly'], colour: 'red' }] } }
    const { status, body: refusal } = await api.call<Refusal>('POST', path, bad)
    assert.equal(status, 422)
    const pointers = refusal.errors.map(({ pointer }) => pointer)
    for (const pointer of ['/metadata/name', '/spec/rules/0/kinds', '/spec/rules/0/verbs/0', '/spec/rules/0/colour'])
      assert.ok(pointers.includes(pointer), `${pointer} in ${pointers}`)
  })

  it('lists by page and by label, of one namespace and of all', async () => {
    for (const name of ['one', 'two', 'three'])
      await api.call('POST', '/api/v1/namespaces/team-b/roles', { ...body, metadata: { name, labels: { team: 'b' } } })
    const first = await api.call<Page>('GET', '/api/v1/namespaces/team-b/roles?limit=2')
    assert.equal(first.body.items.length, 2)
    const second = await api.call<Page>('GET', `/api/v1/namespaces/team-b/roles?limit=2&cursor=${first.body.next}`)
    assert.equal(second.body.items.length, 1)
    assert.equal(second.body.next, null)
    const labelled = await api.call<Page>('GET', '/api/v1/namespaces/*/roles?labelSelector=team%3Db')
    assert.equal(labelled.body.items.length, 3)
    assert.equal((await api.call('GET', '/api/v1/namespaces/team-b/roles?labelSelector=(((')).status, 422)
  })

  it('serves users and groups like every other kind', async () => {
    const made = await api.call<Resource>('POST', '/api/v1/namespaces/team-a/users', {
      metadata: { name: 'zoe' },
      spec: { email: 'zoe@example.org' },
    })
    assert.equal(made.status, 201, made.text)
    const listed = await api.call<{ items: { username: string }[] }>('GET', '/api/v1/users?q=zoe')
    assert.deepEqual(
      listed.body.items.map(({ username }) => username),
      ['zoe'],
    )
    assert.equal((await api.call('DELETE', '/api/v1/namespaces/team-a/users/zoe')).status, 204)
  })

  it('deletes once', async () => {
    assert.equal((await api.call('DELETE', `${path}/readers`)).status, 204)
    assert.equal((await api.call('DELETE', `${path}/readers`)).status, 404)
  })

  for (const wrong of [
    '/api/v1/namespaces/team-a/nonsense',
    '/api/v1/namespaces/Team_A/roles',
    '/api/v1/namespaces/team-a/roles/%00',
    '/api/v1/namespaces/team-a/roles/a%2Fb',
    `/api/v1/namespaces/team-a/roles/${'x'.repeat(400)}`,
    '/api/v1/nowhere',
    '/api/v2',
  ])
    it(`answers 404 to ${wrong.slice(0, 60)}`, async () => {
      const { status, headers } = await api.call('GET', wrong)
      assert.equal(status, 404)
      assert.match(headers['content-type'] ?? '', /^application\/problem\+json/)
    })
})

describe('client credentials', () => {
  const path = '/api/v1/namespaces/default/authclients/shop'

  it('are read, and each reading is an event without the secret', async () => {
    const { status, body, text } = await api.call<{ client_id: string; client_secret: string }>('GET', `${path}/credentials`)
    assert.equal(status, 200, text)
    assert.equal(body.client_id, 'default.shop')
    assert.ok(body.client_secret.length >= 32)
    const events = await api.call<{ items: { target: { name: string } }[] }>('GET', '/api/v1/events?action=authclient.credentials_read')
    assert.equal(events.body.items[0]?.target.name, 'default/shop')
    assert.ok(!events.text.includes(body.client_secret))
  })

  it('are rotated, and the old secret stays valid for the overlap', async () => {
    const before = await api.call<{ client_secret: string }>('GET', `${path}/credentials`)
    const rotated = await api.call<{ client_secret: string; overlap: string; oldSecretExpiresAt: string }>(
      'POST',
      `${path}/rotate-secret`,
      { overlap: '1h' },
    )
    assert.equal(rotated.status, 200, rotated.text)
    assert.notEqual(rotated.body.client_secret, before.body.client_secret)
    assert.equal(rotated.body.overlap, '1h')
    const left = Date.parse(rotated.body.oldSecretExpiresAt) - Date.now()
    assert.ok(left > 3_500_000 && left <= 3_600_000)
    const { findClientSecrets } = await import('#/resources/client_secrets.ts')
    const valid = await findClientSecrets(api.db, api.rootSecret, 'default', 'shop', new Date())
    assert.deepEqual(
      valid.map(({ secret }) => secret.reveal()),
      [rotated.body.client_secret, before.body.client_secret],
    )
    assert.equal((await api.call('POST', `${path}/rotate-secret`)).status, 200)
    assert.equal((await api.call('POST', `${path}/rotate-secret`, { overlap: 'soon' })).status, 422)
  })

  it('do not exist for a client that does not', async () => {
    assert.equal((await api.call('GET', '/api/v1/namespaces/default/authclients/nobody/credentials')).status, 404)
  })
})

describe('GET /api/v1/export', () => {
  it('writes manifests that apply takes unchanged, page by page', async () => {
    const items: unknown[] = []
    let cursor: string | null = null
    do {
      const { status, body }: { status: number; body: { items: unknown[]; next: string | null } } = await api.call(
        'GET',
        `/api/v1/export?limit=2${cursor ? `&cursor=${cursor}` : ''}`,
      )
      assert.equal(status, 200)
      items.push(...body.items)
      cursor = body.next
    } while (cursor)
    assert.ok(items.length >= 8)
    const text = items.map((item) => `---\n${JSON.stringify(item)}\n`).join('')
    const { status, body } = await api.call<Result[]>('POST', '/api/v1/apply', text)
    assert.equal(status, 200, JSON.stringify(body))
    assert.ok(
      body.every(({ result }) => result === 'unchanged'),
      JSON.stringify(body),
    )
  })
})

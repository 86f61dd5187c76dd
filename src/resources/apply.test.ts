/** What is done with documents: read, put in order, refused, pruned, told of. One story over one database: what a test makes, later ones stand on. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { sql } from '#/lib/sql.ts'
import { listEvents } from '#/model/events.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyAs, client, findResource, outcomes, policy, readyOf } from '../../test/support/manifests.ts'
import type { ApplyOptions } from './apply.ts'
import { findClientSecrets } from './client_secrets.ts'

const now = new Date('2030-01-01T00:00:00Z')
const later = new Date('2030-01-02T00:00:00Z')
let kernel: Kernel

before(async () => {
  kernel = await openKernel(now)
})
after(() => kernel.drop())

const apply = (source: string | unknown[], options: Partial<ApplyOptions> = {}, at = now) => applyAs(kernel, source, options, at)
const find = (kind: string, namespace: string, name: string) => findResource(kernel, kind, namespace, name)

test('a wrong manifest names every bad field with its line, and the documents beside it are applied', async () => {
  const text = `---
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: wrong, namespace: team-a }
spec:
  autServerRef: { name: default }
  redirectUris:
    - https://wrong.example.com/a
    - https://wrong.example.com/b#c
  scopes:
    - open id
  clientType: secret
---
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: beside }
spec: { allowedScopes: [openid] }
---
apiVersion: signet.dev/v2
kind: AuthClients
metadata: { name: Upper_Case }
spec: {}
`
  const results = await apply(text)
  assert.deepEqual(outcomes(results), ['AuthClient wrong refused', 'AuthPolicy beside created', 'AuthClients Upper_Case refused'])
  const places = (results[0]?.errors ?? []).map(({ pointer, line }) => `${pointer} ${line}`).sort()
  assert.deepEqual(places, [
    '/spec/autServerRef 6',
    '/spec/authServerRef 6',
    '/spec/clientType 12',
    '/spec/redirectUris/1 9',
    '/spec/scopes/0 11',
  ])
  assert.deepEqual(results[2]?.errors.map(({ pointer, line }) => `${pointer} ${line}`).sort(), [
    '/apiVersion 19',
    '/kind 20',
    '/metadata/name 21',
  ])
})

for (const [title, text, detail] of [
  ['YAML that is none', 'apiVersion: [signet.dev\nkind: x', /./],
  ['a repeated key', 'apiVersion: signet.dev/v1alpha1\napiVersion: signet.dev/v1alpha1\n', /unique/],
  ['a tag that makes something else', 'spec: !!js/function "x"\n', /tag/],
  ['a text', 'just words', /wants a resource/],
  ['a list', '[1, 2]', /wants a resource/],
  [
    'a growing alias',
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    /alias/,
  ],
] as const)
  test(`apply refuses ${title}`, async () => {
    const results = await apply(text)
    assert.ok(results.length >= 1)
    assert.ok(results.every(({ result }) => result === 'refused'))
    assert.match(JSON.stringify(results), detail)
  })

test('nothing is applied of an empty stream, and a List stands for its items', async () => {
  assert.deepEqual(await apply('---\n# nothing\n'), [])
  const results = await apply([{ kind: 'List', apiVersion: 'v1', items: [policy('beside', { allowedScopes: ['openid'] }, {})] }])
  assert.deepEqual(outcomes(results), ['AuthPolicy beside unchanged'])
})

test('a document that repeats another is refused', async () => {
  const results = await apply([policy('twice', {}, {}), policy('twice', {}, {})])
  assert.deepEqual(outcomes(results), ['AuthPolicy twice created', 'AuthPolicy twice refused'])
})

test('what is referred to is applied first, whatever the order; results keep theirs', async () => {
  const results = await apply([
    client('early', { authServerRef: { name: 'other', namespace: 'default' }, scopes: ['openid'] }),
    {
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'AuthServer',
      metadata: { name: 'other' },
      spec: { issuerUrl: 'https://other.example.com/sub' },
    },
    { apiVersion: 'signet.dev/v1alpha1', kind: 'User', metadata: { name: 'ada' }, spec: { groups: ['staff'] } },
    { apiVersion: 'signet.dev/v1alpha1', kind: 'Group', metadata: { name: 'staff' }, spec: { members: ['ada'], parents: ['everyone'] } },
    { apiVersion: 'signet.dev/v1alpha1', kind: 'Group', metadata: { name: 'everyone' }, spec: {} },
  ])
  assert.deepEqual(outcomes(results), [
    'AuthClient early created',
    'AuthServer other created',
    'User ada created',
    'Group staff created',
    'Group everyone created',
  ])
  assert.equal(readyOf(results[0]?.status)?.reason, 'ClientProvisioned')
  assert.deepEqual((await find('User', 'default', 'ada'))?.spec.groups, ['staff'])
})

test('people and groups are unchanged the second time, and refused with pointers into their spec', async () => {
  const documents = [
    { apiVersion: 'signet.dev/v1alpha1', kind: 'User', metadata: { name: 'ada' }, spec: { groups: ['staff'] } },
    { apiVersion: 'signet.dev/v1alpha1', kind: 'Group', metadata: { name: 'staff' }, spec: { members: ['ada'], parents: ['everyone'] } },
  ]
  assert.deepEqual(outcomes(await apply(documents, {}, later)), ['User ada unchanged', 'Group staff unchanged'])
  const [refused] = await apply([
    { apiVersion: 'signet.dev/v1alpha1', kind: 'User', metadata: { name: 'bob' }, spec: { groups: ['nobody'] } },
  ])
  assert.deepEqual(
    refused?.errors.map(({ pointer }) => pointer),
    ['/spec/groups/0'],
  )
})

test('the strict built-in policy governs where none is selected, and status says so', async () => {
  const server = await find('AuthServer', 'default', 'other')
  assert.equal((server?.status.effectivePolicy as { builtIn?: boolean } | undefined)?.builtIn, true)
  const [refused] = await apply([
    client('greedy', { authServerRef: { name: 'other', namespace: 'default' }, grantTypes: ['client_credentials'] }),
  ])
  assert.deepEqual(
    refused?.errors.map(({ pointer }) => pointer),
    ['/spec/grantTypes'],
  )
})

test('a dry run says the same as a run and changes nothing', async () => {
  const documents = [
    { apiVersion: 'signet.dev/v1alpha1', kind: 'AuthServer', metadata: { name: 'dry' }, spec: { issuerUrl: 'https://dry.example.com' } },
    client('dry', { authServerRef: { name: 'dry', namespace: 'default' } }),
    client('drier', { authServerRef: { name: 'dry', namespace: 'default' }, scopes: ['payments'] }),
  ]
  const [{ count } = { count: '' }] = await kernel.db.any<{ count: string }>(sql`select count(*) as count from events`)
  const dry = await apply(documents, { dryRun: true })
  assert.equal(await find('AuthServer', 'default', 'dry'), undefined)
  assert.equal((await kernel.db.any<{ count: string }>(sql`select count(*) as count from events`))[0]?.count, count)
  assert.deepEqual(dry, await apply(documents))
})

test('prune deletes what its selector selects and no document names, and leaves all when a document is refused', async () => {
  const labels = { app: 'pruned' }
  await apply([client('keep', {}, { labels }), client('drop', {}, { labels }), client('other', {})])
  await apply([{ apiVersion: 'signet.dev/v1alpha1', kind: 'Group', metadata: { name: 'drop', labels }, spec: {} }])
  const refused = await apply([client('keep', { scopes: ['payments'] }, { labels })], { prune: 'app=pruned' })
  assert.deepEqual(outcomes(refused), ['AuthClient keep refused'])
  const results = await apply([client('keep', {}, { labels })], { prune: 'app=pruned' })
  assert.deepEqual(outcomes(results), ['AuthClient keep unchanged', 'AuthClient drop deleted', 'Group drop deleted'])
  assert.ok(await find('AuthClient', 'team-a', 'other'))
  await assert.rejects(apply([], { prune: '!app' }), (error) => error instanceof Problem && error.code === 'invalid')
})

test('a resourceVersion in a manifest that is no longer the present one is refused', async () => {
  const seen = (await find('AuthClient', 'team-a', 'other'))?.metadata.resourceVersion
  const [first] = await apply([client('other', { displayName: 'One' }, { resourceVersion: seen })])
  const [second] = await apply([client('other', { displayName: 'Two' }, { resourceVersion: seen })])
  assert.deepEqual([first?.result, second?.result], ['configured', 'refused'])
  assert.deepEqual(
    second?.errors.map(({ pointer }) => pointer),
    ['/metadata/resourceVersion'],
  )
})

test('a guard refuses one document and not the others, and sees each change twice', async () => {
  const seen: string[] = []
  const results = await apply([policy('guarded', {}, {}), client('guarded', {})], {
    guard: (_db, { phase, verb, kind }) => {
      seen.push(`${phase} ${verb} ${kind}`)
      if (kind === 'AuthClient' && phase === 'after') throw new Problem('forbidden', { detail: 'not yours' })
    },
  })
  assert.deepEqual(outcomes(results), ['AuthPolicy guarded created', 'AuthClient guarded refused'])
  assert.deepEqual(seen, ['before create AuthPolicy', 'after create AuthPolicy', 'before create AuthClient', 'after create AuthClient'])
  assert.equal(await find('AuthClient', 'team-a', 'guarded'), undefined)
})

test('each change is one event with its diff, and never a secret', async () => {
  await apply([client('told', { displayName: 'Before' })], { network: '192.0.2.1', requestId: 'r-1' })
  await apply([client('told', { displayName: 'After' })], {}, later)
  const events = (await listEvents(kernel.db, { q: 'team-a/told', order: 'asc', limit: 10 })).filter(
    ({ target_kind }) => target_kind === 'AuthClient',
  )
  assert.deepEqual(
    events.map(({ action, actor }) => [action, actor]),
    [
      ['authclient.created', 'ada'],
      ['authclient.updated', 'ada'],
    ],
  )
  assert.deepEqual([events[0]?.network, events[0]?.request_id], ['192.0.2.1', 'r-1'])
  assert.deepEqual(events[1]?.changes, { '/spec/displayName': { before: 'Before', after: 'After' } })
  const [secret] = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'told', now)
  assert.ok(!JSON.stringify(events).includes(secret?.secret.reveal() ?? ''))
})

test('changes made at once by many are all there, each with a version of its own', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `many-${index}`)
  const results = await Promise.all(names.map((name) => apply([client(name, {})])))
  assert.ok(results.every(([result]) => result?.result === 'created'))
  const found = await Promise.all(names.map((name) => find('AuthClient', 'team-a', name)))
  assert.equal(new Set(found.map((resource) => resource?.metadata.resourceVersion)).size, names.length)
  await kernel.snapshot.refresh()
  assert.ok(names.every((name) => kernel.snapshot.clientById('default', 'default', `team-a.${name}`)))
})

/** One story over one database: what a test makes, later ones stand on. That is why it is long. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findKind } from '#/kinds/index.ts'
import type { Resource } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import { sql } from '#/lib/sql.ts'
import { listEvents } from '#/model/events.ts'
import { issuerUrl, type Kernel, openKernel } from '../../test/support/kernel.ts'
import { type ApplyOptions, type ApplyResult, applyDocuments } from './apply.ts'
import { deleteResource } from './change.ts'
import { findClientSecrets } from './client_secrets.ts'
import { findOne } from './read.ts'

const now = new Date('2030-01-01T00:00:00Z')
const later = new Date('2030-01-02T00:00:00Z')
let kernel: Kernel

before(async () => {
  kernel = await openKernel(now)
})
after(() => kernel.drop())

const apply = (source: string | unknown[], options: Partial<ApplyOptions> = {}, at = now) =>
  applyDocuments(kernel, source, { actor: 'ada', ...options }, at)

const find = (kind: string, namespace: string, name: string): Promise<Resource | undefined> => {
  const found = findKind(kind)
  assert.ok(found)
  return findOne(kernel.db, { kind: found, namespace, name })
}

const readyOf = (status: Resource['status'] | undefined) => status?.conditions?.find(({ type }) => type === 'Ready')
const outcomes = (results: ApplyResult[]) => results.map(({ kind, name, result }) => `${kind} ${name} ${result}`)

const client = (name: string, spec: object, extra: object = {}) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'AuthClient',
  metadata: { name, namespace: 'team-a', ...extra },
  spec: { authServerRef: { name: 'default', namespace: 'default' }, redirectUris: [`https://${name}.example.com/callback`], ...spec },
})

const policy = (name: string, spec: object, labels: object = { 'signet.dev/auth-server': 'default' }) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { name, namespace: 'default', labels },
  spec,
})

test('a client inside its policy is created Ready, with a secret, and a second time unchanged', async () => {
  const [first] = await apply([client('inside', { scopes: ['openid', 'email'] })])
  assert.equal(first?.result, 'created')
  assert.deepEqual(
    { ...readyOf(first?.status), message: '' },
    {
      type: 'Ready',
      status: 'True',
      reason: 'ClientProvisioned',
      message: '',
      lastTransitionTime: now.toISOString(),
      observedGeneration: 1,
    },
  )
  assert.equal(first?.status.observedGeneration, 1)
  assert.deepEqual(first?.status.clientSecretRef, { name: 'inside-client-secret' })
  const [second] = await apply([client('inside', { scopes: ['openid', 'email'] })], {}, later)
  assert.equal(second?.result, 'unchanged')
  assert.equal(second?.status.observedGeneration, 1)
  const secrets = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'inside', later)
  assert.equal(secrets.length, 1)
  assert.ok((secrets[0]?.secret.reveal().length ?? 0) >= 43)
  assert.equal(kernel.snapshot.clientById('default', 'default', 'team-a.inside')?.problem, undefined)
})

test('a changed client is configured: its generation rises, its secret and its transition time stay', async () => {
  const [before] = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'inside', now)
  const [changed] = await apply([client('inside', { scopes: ['openid'] })], {}, later)
  assert.equal(changed?.result, 'configured')
  assert.equal(changed?.status.observedGeneration, 2)
  assert.equal(readyOf(changed?.status)?.lastTransitionTime, now.toISOString())
  const [after] = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'inside', now)
  assert.equal(after?.secret.reveal(), before?.secret.reveal())
})

test('a client outside its policy is refused with every field and value, and nothing of it stays', async () => {
  const text = `apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata:
  name: outside
  namespace: team-a
spec:
  authServerRef: { name: default, namespace: default }
  redirectUris: [https://outside.example.com/callback]
  grantTypes:
    - authorization_code
    - implicit
  scopes: [openid, payments]
`
  const [refused] = await apply(text)
  assert.equal(refused?.result, 'refused')
  assert.deepEqual(
    refused?.errors.map(({ pointer, line }) => [pointer, line]),
    [
      ['/spec/scopes', 12],
      ['/spec/grantTypes', 10],
    ],
  )
  assert.match(refused?.errors[0]?.detail ?? '', /^payments /)
  assert.match(refused?.errors[1]?.detail ?? '', /^implicit /)
  assert.deepEqual(
    [readyOf(refused?.status)?.reason, readyOf(refused?.status)?.message],
    ['PolicyViolation', 'spec.scopes: payments, spec.grantTypes: implicit'],
  )
  assert.equal(await find('AuthClient', 'team-a', 'outside'), undefined)
  assert.deepEqual(await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'outside', now), [])
  assert.equal(kernel.snapshot.client('team-a', 'outside'), undefined)
})

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

test('a client whose AuthServer is not there is stored, not Ready, and becomes Ready with it', async () => {
  const lonely = client('lonely', { authServerRef: { name: 'future' } })
  const [created] = await apply([lonely])
  assert.equal(created?.result, 'created')
  assert.equal(readyOf(created?.status)?.reason, 'AuthServerNotFound')
  assert.equal(created?.status.clientSecretRef, undefined)
  await apply(
    [
      {
        apiVersion: 'signet.dev/v1alpha1',
        kind: 'AuthServer',
        metadata: { name: 'future', namespace: 'team-a' },
        spec: { issuerUrl: 'https://future.example.com' },
      },
    ],
    {},
    later,
  )
  const found = await find('AuthClient', 'team-a', 'lonely')
  assert.deepEqual([readyOf(found?.status)?.status, readyOf(found?.status)?.lastTransitionTime], ['True', later.toISOString()])
})

test('a policy that leaves a client outside: the client is no longer Ready, the policy names it, and the way back is open', async () => {
  await apply([client('victim', { scopes: ['openid', 'email'] })])
  const secret = (await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'victim', now))[0]?.secret.reveal()
  await apply([policy('tight', { allowedScopes: ['openid'] })], {}, later)
  const outside = await find('AuthClient', 'team-a', 'victim')
  assert.deepEqual([readyOf(outside?.status)?.status, readyOf(outside?.status)?.reason], ['False', 'PolicyViolation'])
  assert.equal(readyOf(outside?.status)?.message, 'spec.scopes: email')
  assert.equal(outside?.status.clientSecretRef, undefined)
  assert.equal(kernel.snapshot.clientProblem({ metadata: { namespace: 'team-a', name: 'victim' } })?.reason, 'PolicyViolation')
  const tight = await find('AuthPolicy', 'default', 'tight')
  assert.ok(tight)
  const { governed, violations } = tight.status as { governed: { count: number; clients: object[] }; violations: object[] }
  assert.equal(governed.count, governed.clients.length)
  assert.deepEqual(violations, [{ namespace: 'team-a', name: 'victim', fields: ['spec.scopes: email'] }])
  const [again] = await apply([client('victim', { scopes: ['openid', 'email'] })])
  assert.equal(again?.result, 'refused', 'what is outside is refused, even when it is as before')
  await apply([policy('tight', { allowedScopes: ['openid', 'email'] })], {}, later)
  const back = await find('AuthClient', 'team-a', 'victim')
  assert.equal(readyOf(back?.status)?.reason, 'ClientProvisioned')
  assert.equal((await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'victim', now))[0]?.secret.reveal(), secret)
  const events = await listEvents(kernel.db, { action: 'authclient.not_ready', limit: 10 })
  assert.deepEqual(
    events.map(({ target_name, changes }) => [target_name, changes]),
    [['team-a/victim', { '/status/conditions/Ready': { before: 'ClientProvisioned', after: 'PolicyViolation' } }]],
  )
})

test('a shorter accessTokenTTL in a policy reaches every client under it at once', async () => {
  await apply([policy('short', { token: { accessTokenTTL: '90s' } })])
  assert.equal(kernel.snapshot.client('team-a', 'inside')?.policy.accessTokenTTL, 90)
  const shown = (await find('AuthClient', 'team-a', 'inside'))?.status.effectivePolicy as { token: { accessTokenTTL: string } }
  assert.equal(shown.token.accessTokenTTL, '90s')
})

test('a policy with a clientSelector governs only the clients it selects', async () => {
  await apply([policy('labelled', { clientSelector: { team: 'payments' }, token: { accessTokenTTL: '30s' } })])
  await apply([client('paying', {}, { labels: { team: 'payments' } })])
  assert.equal(kernel.snapshot.client('team-a', 'paying')?.policy.accessTokenTTL, 30)
  assert.equal(kernel.snapshot.client('team-a', 'inside')?.policy.accessTokenTTL, 90)
})

for (const [title, document, pointer] of [
  [
    'an issuer that another AuthServer has',
    { kind: 'AuthServer', metadata: { name: 'double' }, spec: { issuerUrl: `${issuerUrl}/` } },
    '/spec/issuerUrl',
  ],
  ['a client_id that another client of the AuthServer has', { ...client('double', { clientId: 'team-a.inside' }) }, '/spec/clientId'],
] as const)
  test(`apply refuses ${title}`, async () => {
    const [refused] = await apply([{ apiVersion: 'signet.dev/v1alpha1', ...document }])
    assert.deepEqual([refused?.result, refused?.errors.map((error) => error.pointer)], ['refused', [pointer]])
  })

test('an AuthServer admits clients of its allowedNamespaces only', async () => {
  const server = { apiVersion: 'signet.dev/v1alpha1', kind: 'AuthServer', metadata: { name: 'closed' } }
  await apply([{ ...server, spec: { issuerUrl: 'https://closed.example.com', allowedNamespaces: { names: ['team-b'] } } }])
  const [refused] = await apply([client('foreign', { authServerRef: { name: 'closed', namespace: 'default' } })])
  assert.equal(readyOf(refused?.status)?.reason, 'NamespaceNotAllowed')
})

test('an LDAP user store is not Ready, nor is an AuthServer that uses it', async () => {
  const results = await apply([
    {
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'UserStore',
      metadata: { name: 'ldap' },
      spec: { type: 'ldap', ldap: { server: 'ldaps://ldap.example.com' } },
    },
    {
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'AuthServer',
      metadata: { name: 'ldap' },
      spec: { issuerUrl: 'https://ldap.example.com', userStoreRef: { name: 'ldap' } },
    },
  ])
  assert.deepEqual(
    results.map(({ status }) => readyOf(status)?.reason),
    ['TypeNotServed', 'UserStoreNotReady'],
  )
  assert.match(readyOf(results[0]?.status)?.message ?? '', /ldaps:\/\/ldap\.example\.com/)
  assert.equal(kernel.snapshot.authServerFor('ldap.example.com', '/'), undefined)
})

test('changes of a paused resource wait, what was in force stays, and status tells', async () => {
  await apply([client('sleeper', { scopes: ['openid'] })])
  const [paused] = await apply([client('sleeper', { scopes: ['openid', 'email'], paused: true })])
  assert.equal(paused?.result, 'configured')
  assert.deepEqual([paused?.status.observedGeneration, readyOf(paused?.status)?.status], [1, 'True'])
  assert.deepEqual(kernel.snapshot.get('AuthClient', 'team-a', 'sleeper')?.spec.scopes, ['openid'])
  await apply([client('sleeper', { scopes: ['openid', 'email'] })])
  assert.deepEqual(kernel.snapshot.get('AuthClient', 'team-a', 'sleeper')?.spec.scopes, ['openid', 'email'])
  assert.equal((await find('AuthClient', 'team-a', 'sleeper'))?.status.observedGeneration, 3)
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

test('a deleted AuthServer waits for nobody: its clients stay, are not Ready, and are let go', async () => {
  const server = findKind('AuthServer')
  const client = findKind('AuthClient')
  assert.ok(server && client)
  await deleteResource(kernel, { kind: server, namespace: 'team-a', name: 'future' }, { actor: 'ada' }, later)
  assert.equal(readyOf((await find('AuthClient', 'team-a', 'lonely'))?.status)?.reason, 'AuthServerNotFound')
  await deleteResource(kernel, { kind: client, namespace: 'team-a', name: 'lonely' }, { actor: 'ada' }, later)
  assert.equal(await find('AuthClient', 'team-a', 'lonely'), undefined)
})

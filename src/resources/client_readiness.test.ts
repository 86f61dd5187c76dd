/** When a client is Ready, and when it is so no longer. One story over one database: what a test makes, later ones stand on. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findKind } from '#/kinds/index.ts'
import { listEvents } from '#/model/events.ts'
import { issuerUrl, type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyAs, client, findResource, policy, readyOf } from '../../test/support/manifests.ts'
import type { ApplyOptions } from './apply.ts'
import { deleteResource } from './change.ts'
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

test('a deleted AuthServer waits for nobody: its clients stay, are not Ready, and are let go', async () => {
  const server = findKind('AuthServer')
  const client = findKind('AuthClient')
  assert.ok(server && client)
  await deleteResource(kernel, { kind: server, namespace: 'team-a', name: 'future' }, { actor: 'ada' }, later)
  assert.equal(readyOf((await find('AuthClient', 'team-a', 'lonely'))?.status)?.reason, 'AuthServerNotFound')
  await deleteResource(kernel, { kind: client, namespace: 'team-a', name: 'lonely' }, { actor: 'ada' }, later)
  assert.equal(await find('AuthClient', 'team-a', 'lonely'), undefined)
})

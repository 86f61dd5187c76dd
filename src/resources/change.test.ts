import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type KindName, kinds } from '#/kinds/index.ts'
import type { Kind } from '#/kinds/kind.ts'
import { Problem, type ProblemCode } from '#/lib/problem.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyDocuments } from './apply.ts'
import { createResource, deleteResource, patchResource, replaceResource } from './change.ts'
import { findClientSecrets, rotateClientSecret } from './client_secrets.ts'
import { exportManifests, findOne, listPage } from './read.ts'
import { rotateDueSecrets } from './rotate_due_secrets.ts'

const now = new Date('2030-01-01T00:00:00Z')
const actor = 'ada'
const kind = kinds.AuthClient as unknown as Kind<KindName>
const address = (name: string) => ({ kind, namespace: 'team-a', name })
const spec = { authServerRef: { name: 'default', namespace: 'default' }, redirectUris: ['https://app.example.com/cb'] }
let kernel: Kernel

before(async () => {
  kernel = await openKernel(now)
})
after(() => kernel.drop())

const refuses = (work: Promise<unknown>, code: ProblemCode, pointers?: string[]) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof Problem, String(error))
    assert.equal(error.code, code)
    if (pointers)
      assert.deepEqual(
        error.errors.map(({ pointer }) => pointer),
        pointers,
      )
    return true
  })

const make = (name: string, body: object = {}) =>
  createResource(kernel, { kind, namespace: 'team-a' }, { metadata: { name }, spec, ...body }, { actor }, now)

test('create fills in what the address says, and refuses what exists', async () => {
  const made = await make('created')
  assert.deepEqual([made.kind, made.metadata.namespace, made.metadata.generation], ['AuthClient', 'team-a', 1])
  await refuses(make('created'), 'conflict')
})

test('create refuses a body of another address, and every bad field', async () => {
  await refuses(make('x', { kind: 'User' }), 'invalid', ['/kind'])
  await refuses(make('x', { metadata: { name: 'x', namespace: 'team-b' } }), 'invalid', ['/metadata/namespace'])
  await refuses(make('x', { spec: { ...spec, scopes: 7, colour: 'red' } }), 'invalid', ['/spec/scopes', '/spec/colour'])
  await refuses(make('x', { spec: { ...spec, scopes: ['openid', 'payments'] } }), 'invalid', ['/spec/scopes'])
  await refuses(createResource(kernel, { kind, namespace: 'team-a' }, 'text', { actor }, now), 'invalid', [''])
})

test('replace takes everything at once, and only of the version seen', async () => {
  const first = await make('replaced', { spec: { ...spec, displayName: 'One' }, metadata: { name: 'replaced', labels: { a: 'b' } } })
  const second = await replaceResource(
    kernel,
    address('replaced'),
    { spec },
    { actor, resourceVersion: first.metadata.resourceVersion },
    now,
  )
  assert.deepEqual([second.spec.displayName, second.metadata.labels, second.metadata.generation], [undefined, {}, 2])
  const seen = first.metadata.resourceVersion
  await refuses(replaceResource(kernel, address('replaced'), { spec }, { actor, resourceVersion: seen }, now), 'precondition_failed')
  await refuses(
    replaceResource(kernel, address('replaced'), { spec, metadata: { resourceVersion: seen } }, { actor }, now),
    'precondition_failed',
  )
  await refuses(replaceResource(kernel, address('absent'), { spec }, { actor }, now), 'not_found')
})

test('a merge patch changes what it names, and null removes', async () => {
  await make('patched', { spec: { ...spec, displayName: 'One', contacts: ['a@example.com'] } })
  const patched = await patchResource(
    kernel,
    address('patched'),
    { metadata: { labels: { team: 'x' } }, spec: { displayName: null, contacts: ['b@example.com'] } },
    { actor },
    now,
  )
  assert.deepEqual(
    [patched.spec.displayName, patched.spec.contacts, patched.metadata.labels],
    [undefined, ['b@example.com'], { team: 'x' }],
  )
  await refuses(patchResource(kernel, address('patched'), { spec: { authServerRef: null } }, { actor }, now), 'invalid', [
    '/spec/authServerRef',
  ])
  await refuses(patchResource(kernel, address('patched'), { spec: {} }, { actor, resourceVersion: '1' }, now), 'precondition_failed')
  await refuses(patchResource(kernel, address('patched'), { metadata: { name: 'other' } }, { actor }, now), 'invalid', ['/metadata/name'])
  await refuses(patchResource(kernel, address('patched'), [], { actor }, now), 'invalid', [''])
})

test('patches made at once are all there', async () => {
  await make('raced')
  await Promise.all(
    ['a', 'b', 'c'].map((key) => patchResource(kernel, address('raced'), { metadata: { labels: { [key]: 'x' } } }, { actor }, now)),
  )
  assert.deepEqual((await findOne(kernel.db, address('raced')))?.metadata.labels, { a: 'x', b: 'x', c: 'x' })
})

test('delete takes the version seen, the secrets go too, and the snapshot forgets it', async () => {
  const made = await make('deleted')
  await refuses(deleteResource(kernel, address('deleted'), { actor, resourceVersion: '1' }, now), 'precondition_failed')
  await deleteResource(kernel, address('deleted'), { actor, resourceVersion: made.metadata.resourceVersion }, now)
  assert.deepEqual(await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'deleted', now), [])
  assert.equal(kernel.snapshot.client('team-a', 'deleted'), undefined)
  await refuses(deleteResource(kernel, address('deleted'), { actor }, now), 'not_found')
})

test('a rotated secret leaves the old one valid for the overlap', async () => {
  await make('rotated')
  const [old] = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'rotated', now)
  const { secret, oldExpiresAt } = await rotateClientSecret(kernel, 'team-a', 'rotated', { actor, overlap: 3600 }, now)
  assert.equal(oldExpiresAt.getTime(), now.getTime() + 3_600_000)
  const during = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'rotated', new Date(oldExpiresAt.getTime() - 1))
  assert.deepEqual(
    during.map((found) => found.secret.reveal()),
    [secret.reveal(), old?.secret.reveal()],
  )
  const after = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'rotated', oldExpiresAt)
  assert.deepEqual(
    after.map((found) => found.secret.reveal()),
    [secret.reveal()],
  )
})

test('a client that needs no secret any more loses it', async () => {
  await make('keyed')
  const jwks = { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] }
  const changed = await patchResource(
    kernel,
    address('keyed'),
    { spec: { tokenEndpointAuthMethod: 'private_key_jwt', jwks } },
    { actor },
    now,
  )
  assert.equal(changed.status.clientSecretRef, undefined)
  assert.deepEqual(await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'keyed', now), [])
  await refuses(rotateClientSecret(kernel, 'team-a', 'keyed', { actor, overlap: 1 }, now), 'not_found')
})

test('lists come in pages, of one namespace or all, with labels', async () => {
  for (const name of ['p1', 'p2', 'p3']) await make(name, { metadata: { name, labels: { page: 'yes', number: name } } })
  const names: string[] = []
  let cursor: string | undefined
  do {
    const page = await listPage(kernel.db, kind, { labelSelector: 'page=yes,number!=p2', limit: 1, cursor })
    names.push(...page.items.map(({ metadata }) => metadata.name))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  assert.deepEqual(names, ['p1', 'p3'])
  assert.deepEqual((await listPage(kernel.db, kind, { namespace: 'nowhere' })).items, [])
})

test('what is exported and applied elsewhere is the same, and applied here is unchanged', async () => {
  const manifests = await Array.fromAsync(exportManifests(kernel.db, {}))
  assert.ok(manifests.length > 10)
  const here = await applyDocuments(kernel, manifests, { actor }, now)
  assert.deepEqual(
    here.filter(({ result }) => result !== 'unchanged'),
    [],
  )
  const elsewhere = await openKernel(now)
  try {
    const there = await applyDocuments(elsewhere, manifests, { actor }, now)
    assert.deepEqual(
      there.filter(({ result }) => result === 'refused'),
      [],
    )
    assert.deepEqual(await Array.fromAsync(exportManifests(elsewhere.db, {})), manifests)
  } finally {
    await elsewhere.drop()
  }
})

test('secrets are replaced when the schedule of their policy was due since they were made', async () => {
  const rotation = { enabled: true, schedule: '0 3 * * *', overlap: '2h' }
  const policy = {
    apiVersion: 'signet.dev/v1alpha1',
    kind: 'AuthPolicy',
    metadata: { name: 'rotating', labels: { 'signet.dev/auth-server': 'default' } },
    spec: { clientSelector: { rotate: 'yes' }, clientAuthentication: { secretRotation: rotation } },
  }
  await applyDocuments(kernel, [policy], { actor }, now)
  await make('due', { metadata: { name: 'due', labels: { rotate: 'yes' } } })
  const at = (time: string) => new Date(`2030-01-01T${time}Z`)
  assert.equal(await rotateDueSecrets(kernel, at('02:59:00')), 0)
  assert.equal(await rotateDueSecrets(kernel, at('03:01:00')), 1)
  assert.equal(await rotateDueSecrets(kernel, at('03:02:00')), 0)
  const secrets = await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'due', at('03:02:00'))
  assert.deepEqual(
    secrets.map(({ expiresAt }) => expiresAt?.toISOString()),
    [undefined, '2030-01-01T05:01:00.000Z'],
  )
})

test('of the secrets replaced only the newest three stay', async () => {
  await make('busy')
  for (let i = 1; i <= 6; i++) await rotateClientSecret(kernel, 'team-a', 'busy', { actor, overlap: 3600 }, new Date(now.getTime() + i))
  assert.equal((await findClientSecrets(kernel.db, kernel.rootSecret, 'team-a', 'busy', now)).length, 4)
})

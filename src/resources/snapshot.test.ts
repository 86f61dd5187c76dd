import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openLog } from '#/lib/log.ts'
import { sql } from '#/lib/sql.ts'
import { issuerUrl, type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyDocuments } from './apply.ts'
import { openSnapshot } from './snapshot.ts'

const now = new Date('2030-01-01T00:00:00Z')
let kernel: Kernel

before(async () => {
  kernel = await openKernel(now)
  const server = (name: string, url: string) => ({
    apiVersion: 'signet.dev/v1alpha1',
    kind: 'AuthServer',
    metadata: { name },
    spec: { issuerUrl: url },
  })
  await applyDocuments(
    kernel,
    [server('sub', `${issuerUrl}/tenants/one`), server('port', 'http://localhost:9100'), server('deep', `${issuerUrl}/tenants/one/more`)],
    { actor: 'ada' },
    now,
  )
})
after(() => kernel.drop())

for (const [host, path, expected] of [
  ['sign-in.example.com', '/', 'default'],
  ['SIGN-IN.example.com', '/oauth2/token', 'default'],
  ['sign-in.example.com', '/tenants/one/oauth2/token', 'sub'],
  ['sign-in.example.com', '/tenants/one', 'sub'],
  ['sign-in.example.com', '/tenants/onerous', 'default'],
  ['sign-in.example.com', '/tenants/one/more/x', 'deep'],
  ['sign-in.example.com:8443', '/', undefined],
  ['localhost:9100', '/', 'port'],
  ['localhost', '/', undefined],
  ['other.example.com', '/', undefined],
] as const)
  test(`${host}${path} is answered by ${expected ?? 'nobody'}`, () => {
    assert.equal(kernel.snapshot.authServerFor(host, path)?.name, expected)
  })

test('an AuthServer is resolved: prefix, policies, user store', () => {
  const found = kernel.snapshot.findAuthServer('default', 'sub')
  assert.deepEqual(
    [found?.pathPrefix, found?.issuerUrl, found?.userStore?.metadata.name, found?.policy.policies],
    ['/tenants/one', `${issuerUrl}/tenants/one`, 'default', []],
  )
  assert.deepEqual(
    kernel.snapshot.findAuthServer('default', 'default')?.policies.map(({ metadata }) => metadata.name),
    ['default'],
  )
})

test('a change made by another process is heard of, and resources are frozen', async () => {
  const other = await openSnapshot({ db: kernel.db, log: openLog('silent') })
  try {
    const heard = new Promise<void>((resolve) => {
      const stop = other.onChange(() => {
        if (!other.get('Role', 'default', 'auditor')) return
        stop()
        resolve()
      })
    })
    const before = other.generation
    const role = {
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'Role',
      metadata: { name: 'auditor' },
      spec: { rules: [{ kinds: ['events'], verbs: ['list'] }] },
    }
    await applyDocuments({ ...kernel, snapshot: undefined }, [role], { actor: 'ada' }, now)
    await heard
    const found = other.get('Role', 'default', 'auditor')
    assert.deepEqual(found?.spec.rules[0]?.namespaces, ['*'], 'defaults are filled in')
    assert.notEqual(other.generation, before)
    assert.throws(() => {
      ;(found?.spec.rules as unknown[] | undefined)?.push({})
    })
    assert.deepEqual(
      other.list('Role').map(({ metadata }) => metadata.name),
      ['admin', 'auditor'],
    )
  } finally {
    other.close()
  }
})

test('a row that this program does not understand is left out, and its status says so with the next change that concerns all', async () => {
  await kernel.db.run(sql`
    update resources set active_spec = '{"from": "the future"}' , resource_version = nextval('resource_version')
     where kind = 'Role' and name = 'auditor'`)
  await kernel.snapshot.refresh()
  assert.equal(kernel.snapshot.get('Role', 'default', 'auditor'), undefined)
  await applyDocuments(
    kernel,
    [{ apiVersion: 'signet.dev/v1alpha1', kind: 'AuthPolicy', metadata: { name: 'x' }, spec: {} }],
    { actor: 'ada' },
    now,
  )
  const row = await kernel.db.one<{ status: { conditions: { reason: string }[] } }>(
    sql`select status from resources where kind = 'Role' and name = 'auditor'`,
  )
  assert.equal(row.status.conditions[0]?.reason, 'NotUnderstood')
})

test('a deleted resource is gone after a refresh', async () => {
  await kernel.db.run(sql`delete from resources where kind = 'AuthPolicy' and name = 'x'`)
  await kernel.snapshot.refresh()
  assert.equal(kernel.snapshot.get('AuthPolicy', 'default', 'x'), undefined)
})

test('a change that could not be read when it was heard of is read a moment later', async () => {
  let isBroken = false
  let failures = 0
  const db: typeof kernel.db = {
    ...kernel.db,
    transaction: (work) => {
      if (!isBroken) return kernel.db.transaction(work)
      failures++
      throw new Error('the connection is gone')
    },
  }
  const other = await openSnapshot({ db, log: openLog('silent') })
  try {
    isBroken = true
    const spec = { rules: [{ kinds: ['users'], verbs: ['get'] }] }
    await applyDocuments(
      { ...kernel, snapshot: undefined },
      [{ apiVersion: 'signet.dev/v1alpha1', kind: 'Role', metadata: { name: 'reader' }, spec }],
      { actor: 'ada' },
      now,
    )
    for (let tries = 0; tries < 200 && failures === 0; tries++) await delay(10)
    await delay(200)
    isBroken = false
    for (let tries = 0; tries < 500 && !other.get('Role', 'default', 'reader'); tries++) await delay(10)
    assert.ok(failures > 0)
    assert.ok(other.get('Role', 'default', 'reader'))
  } finally {
    other.close()
  }
})

/** What status says of each kind: Ready as soon as it does its work, and why where it doesn't. One story over one database. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type KindName, kindNames } from '#/kinds/index.ts'
import { makeAuthority } from '../../test/support/authority.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyAs, findResource, readyOf } from '../../test/support/manifests.ts'
import { defaultFlowManifests } from './default_flows.ts'

const now = new Date('2030-01-15T00:00:00Z')
const authServerRef = { name: 'default', namespace: 'default' }
const stages = [{ stage: 'identification' }]
let kernel: Kernel
let specs: Record<KindName, object>

before(async () => {
  kernel = await openKernel(now)
  const { cert, key } = await (await makeAuthority(now)).issue('site.example.com')
  specs = {
    UserStore: { type: 'postgres' },
    Group: {},
    User: {},
    Role: { rules: [{ kinds: ['users'], namespaces: ['*'], verbs: ['get'] }], subjects: { users: ['admin'] } },
    KeyPair: { certificate: cert, privateKey: key },
    AuthPolicy: {},
    Flow: { designation: 'authentication', stages },
    AuthServer: { issuerUrl: 'https://second.example.com' },
    AuthClient: { authServerRef, redirectUris: ['https://app.example.com/callback'], scopes: ['openid'] },
    ClaimMapper: { authServerRef, claims: [{ name: 'team', value: '"a"' }] },
    Outpost: {},
    Application: { authServerRef, displayName: 'App', launchUrl: 'https://app.example.com' },
  }
})
after(() => kernel.drop())

const manifest = (kind: string, name: string, namespace: string, spec: object) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind,
  metadata: { name, namespace },
  spec,
})
const ready = async (kind: KindName, namespace: string, name: string) =>
  readyOf((await findResource(kernel, kind, namespace, name))?.status)

for (const kind of kindNames)
  test(`a ${kind} that does its work is Ready`, async () => {
    const [result] = await applyAs(kernel, [manifest(kind, 'sound', 'default', specs[kind])], {}, now)
    assert.deepEqual([result?.result, result?.errors, readyOf(result?.status)?.status], ['created', [], 'True'])
  })

test('the flows of the first start are Ready, and say where they answer', async () => {
  for (const { metadata } of defaultFlowManifests()) {
    const condition = await ready('Flow', metadata.namespace, metadata.name)
    assert.deepEqual(
      [condition?.status, condition?.reason, condition?.message],
      ['True', 'InForce', `answers at /flow/${metadata.name} of 2 AuthServers`],
    )
  }
})

test('a flow of a namespace without AuthServer is not Ready until there is one, whose own it is from then on', async () => {
  const [flow] = await applyAs(kernel, [manifest('Flow', 'authentication', 'team-b', { designation: 'authentication', stages })], {}, now)
  assert.equal(readyOf(flow?.status)?.reason, 'AuthServerNotFound')
  await applyAs(
    kernel,
    [manifest('AuthServer', 'own', 'team-b', { issuerUrl: 'https://b.example.com', userStoreRef: authServerRef })],
    {},
    now,
  )
  assert.equal((await ready('Flow', 'team-b', 'authentication'))?.message, 'answers at /flow/authentication of 1 AuthServer')
  assert.equal((await ready('Flow', 'default', 'authentication'))?.message, 'answers at /flow/authentication of 2 AuthServers')
  assert.equal((await ready('Flow', 'default', 'enrollment'))?.message, 'answers at /flow/enrollment of 3 AuthServers')
})

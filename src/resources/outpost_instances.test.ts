import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Resource } from '#/kinds/kind.ts'
import type { OutpostInstance } from '#/model/outpost_instances.ts'
import { withStatus } from './outpost_instances.ts'

const now = new Date('2026-03-01T12:00:00Z')
const before = (ms: number) => new Date(now.getTime() - ms)

const outpost = (status: 'True' | 'False'): Resource => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'Outpost',
  metadata: { name: 'edge', namespace: 'default', labels: {}, annotations: {}, generation: 1, resourceVersion: '1', creationTimestamp: '' },
  spec: {},
  status: {
    conditions: [
      {
        type: 'Ready',
        status,
        reason: 'InForce',
        message: 'guards 1 application',
        lastTransitionTime: '2026-01-01T00:00:00.000Z',
        observedGeneration: 1,
      },
    ],
  },
})
const instance = (more: Partial<OutpostInstance>): OutpostInstance => ({
  instance_id: 'a',
  namespace: 'default',
  name: 'edge',
  hostname: 'h',
  version: '1.0.0',
  network: '192.0.2.1',
  stream_id: 's',
  generation: '1',
  connected_at: before(60_000),
  seen_at: before(1_000),
  left_at: null,
  is_alive: true,
  ...more,
})

const statuses: [title: string, instances: OutpostInstance[], ready: [status: string, reason: string], connected: number][] = [
  ['no process', [], ['False', 'NotConnected'], 0],
  ['one that lives', [instance({})], ['True', 'Connected'], 1],
  ['one that fell silent', [instance({ seen_at: before(20_000), is_alive: false })], ['False', 'NotConnected'], 0],
  ['one that left', [instance({ left_at: before(500), is_alive: false })], ['False', 'NotConnected'], 0],
  ['one that lives and one that left', [instance({}), instance({ left_at: before(500), is_alive: false })], ['True', 'Connected'], 1],
]
for (const [title, instances, ready, connected] of statuses)
  test(`an Outpost with ${title} is ${ready.join(' ')}`, () => {
    const { status } = withStatus(outpost('True'), instances)
    const [condition] = status.conditions ?? []
    assert.deepEqual([condition?.status, condition?.reason], ready)
    assert.equal((status.instances as { connected: number }).connected, connected)
  })

test('an Outpost that is not in force is not made ready by its processes', () => {
  assert.equal(withStatus(outpost('False'), [instance({})]).status.conditions?.[0]?.status, 'False')
})

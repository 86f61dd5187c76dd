import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planTakeover, type Watched } from './takeover.ts'

const processes = (...beats: [string, number][]) =>
  beats.map(([process_id, beat]) => ({ process_id, beat: String(beat), worker_ids: [`worker-of-${process_id}`] }))

const look = (seen: ReturnType<typeof processes>, watched: ReadonlyMap<string, Watched>, now: number) =>
  planTakeover(seen, { self: 'self', watched, now })

test('a process that stands still for 25 s of watching is dead', () => {
  let { watched, dead } = look(processes(['a', 1], ['b', 1]), new Map(), 0)
  ;({ watched, dead } = look(processes(['a', 1], ['b', 2]), watched, 20_000))
  assert.deepEqual(dead, [])
  ;({ watched, dead } = look(processes(['a', 1], ['b', 3]), watched, 25_000))
  assert.deepEqual(
    dead.map(({ process_id }) => process_id),
    ['a'],
  )
  assert.deepEqual([...watched.keys()], ['b'])
})

test('a beat begins the count anew', () => {
  let { watched, dead } = look(processes(['a', 1]), new Map(), 0)
  ;({ watched, dead } = look(processes(['a', 2]), watched, 24_000))
  ;({ watched, dead } = look(processes(['a', 2]), watched, 40_000))
  assert.deepEqual(dead, [])
})

test('a watcher that just came, or lost sight, concludes nothing', () => {
  assert.deepEqual(look(processes(['a', 1]), new Map(), 1_000_000).dead, [])
})

test('nobody declares itself dead', () => {
  const watched = new Map([['self', { beat: '1', since: 0 }]])
  assert.deepEqual(look(processes(['self', 1]), watched, 1_000_000).dead, [])
})

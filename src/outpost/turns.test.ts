import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoRoom, openTurns } from './turns.ts'

test('so much is done at once, so much waits in order, and more is refused', async () => {
  const turn = openTurns({ atOnce: 2, mostWaiting: 2 })
  const begun: string[] = []
  const ends: (() => void)[] = []
  const work = (name: string) => () => {
    begun.push(name)
    return new Promise<string>((resolve) => ends.push(() => resolve(name)))
  }
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => turn(work(name)))
  await assert.rejects(turn(work('e')), NoRoom)
  assert.deepEqual(begun, ['a', 'b'])
  ends[0]?.()
  assert.equal(await a, 'a')
  assert.deepEqual(begun, ['a', 'b', 'c'])
  ends[1]?.()
  ends[2]?.()
  assert.deepEqual(await Promise.all([b, c]), ['b', 'c'])
  ends[3]?.()
  assert.equal(await d, 'd')
})

test('work that fails gives its turn back', async () => {
  const turn = openTurns({ atOnce: 1, mostWaiting: 1 })
  const failing = () => Promise.reject(new Error('away'))
  await Promise.all([assert.rejects(turn(failing), /away/), assert.rejects(turn(failing), /away/)])
  assert.equal(await turn(async () => 1), 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Passage, passagesOf, withPassage } from './trail.ts'

const trailOf = (steps: [number, Passage][]) =>
  steps.reduce<string | undefined>((trail, [index, passage]) => withPassage(trail, index, passage), undefined)

const rows: [title: string, steps: [number, Passage][], count: number, passages: Passage[]][] = [
  ['nothing yet', [], 0, []],
  ['what nothing is known of was left out', [], 2, ['left_out', 'left_out']],
  [
    'one after the other',
    [
      [0, 'answered'],
      [1, 'passed'],
    ],
    2,
    ['answered', 'passed'],
  ],
  [
    'over some that were left out',
    [
      [0, 'answered'],
      [3, 'passed'],
    ],
    5,
    ['answered', 'left_out', 'left_out', 'passed', 'left_out'],
  ],
  [
    'back at one that asks again',
    [
      [0, 'passed'],
      [1, 'answered'],
      [2, 'passed'],
    ],
    1,
    ['passed'],
  ],
  [
    'on from there',
    [
      [0, 'passed'],
      [1, 'answered'],
      [2, 'passed'],
      [1, 'answered'],
    ],
    3,
    ['passed', 'answered', 'left_out'],
  ],
]
for (const [title, steps, count, passages] of rows)
  test(`a trail: ${title}`, () => assert.deepEqual(passagesOf(trailOf(steps), count), passages))

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { forgottenSince, type Reputation, reputation, scoreAfter, scoreAt } from './reputation.ts'

const start = new Date('2026-11-23T12:00:00Z')
const hoursLater = (hours: number) => new Date(start.getTime() + hours * 3_600_000)

/** `f`: a failure, `s`: a success, a number: hours that pass. */
type Step = 'f' | 's' | number
const scoreOf = (...story: Step[]) => {
  let hours = 0
  let known: Reputation | undefined
  for (const step of story)
    if (typeof step === 'number') hours += step
    else known = { score: scoreAfter(known, step === 'f' ? 'failure' : 'success', hoursLater(hours)), at: hoursLater(hours) }
  return known ? scoreAt(known, hoursLater(hours)) : 0
}
const times = (count: number, ...steps: Step[]): Step[] => Array<Step[]>(count).fill(steps).flat()

const rows: [title: string, story: Step[], expected: number][] = [
  ['nothing', [], 0],
  ['one failure', ['f'], 1],
  ['one success', ['s'], 0],
  ['ten failures', times(10, 'f'), 10],
  ['ten failures, six hours ago', [...times(10, 'f'), 6], 5],
  ['ten failures, a day ago', [...times(10, 'f'), 24], 0.625],
  ['ten failures and a success', [...times(10, 'f'), 's'], 9.75],
  ['a thousand failures', times(1_000, 'f'), 100],
  ['an office where one in five is a failure', times(100, 'f', 's', 's', 's', 's'), 0],
  ['a guesser who signs in after each guess', times(40, 'f', 's'), 30],
  ['successes beforehand', [...times(1_000, 's'), 'f'], 1],
  ['a clock that went back', [...times(10, 'f'), -6], 10],
]
for (const [title, story, expected] of rows)
  test(`reputation of a network: ${title}: ${expected}`, () =>
    assert.ok(Math.abs(scoreOf(...story) - expected) < 1e-9, String(scoreOf(...story))))

test('a score stays between nothing and the worst, and only falls while nothing happens', () =>
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom('f' as const, 's' as const), fc.integer({ min: 0, max: 100 })), { maxLength: 200 }),
      fc.integer({ min: 0, max: 100 }),
      (story, rest) => {
        const score = scoreOf(...story)
        assert.ok(score >= 0 && score <= reputation.worst)
        assert.ok(scoreOf(...story, rest) <= score)
        assert.ok(scoreOf(...story, 'f') >= score && scoreOf(...story, 's') <= score)
      },
    ),
  ))

test('what is forgotten was worth less than a tenth', () =>
  assert.ok(scoreAt({ score: reputation.worst, at: forgottenSince(start) }, start) < 0.1))

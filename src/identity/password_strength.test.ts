import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { openPasswordStrength, type PasswordStrengthOptions } from './password_strength.ts'

const opened: { close(): Promise<void> }[] = []
const open = (options?: PasswordStrengthOptions) => {
  const strength = openPasswordStrength(options)
  opened.push(strength)
  return strength
}
after(() => Promise.all(opened.map((strength) => strength.close())))

test('passwords are as hard to guess as they are, and less so for who knows the person', async () => {
  const strength = open()
  const rows: [plain: string, words: string[], least: number, most: number][] = [
    ['password1', [], 0, 0],
    ['qwertyuiop', [], 0, 1],
    ['aaaaaaaaaaaa', [], 0, 1],
    ['correct horse battery staple', [], 4, 4],
    ['Wrzlbrmft Zapf', [], 3, 4],
    ['wrzlbrmft', ['wrzlbrmft'], 0, 1],
    ['12-04-1987', [], 0, 2],
  ]
  for (const [plain, words, least, most] of rows) {
    const score = await strength.estimate(plain, words)
    assert.ok(score >= least && score <= most, `${plain}: ${score}`)
  }
})

test('the longest password there may be is judged in bounded time, and others have their turn meanwhile', async () => {
  const strength = open()
  await strength.estimate('warm', [])
  let turns = 0
  const ticking = setInterval(() => turns++, 5)
  const began = performance.now()
  await strength.estimate('4@8({[</369&#!1/|0$5+7%2'.repeat(42), [])
  clearInterval(ticking)
  assert.ok(performance.now() - began < 10_000)
  assert.ok(turns > 2)
})

test('what takes too long is given up, and the next one is judged', async () => {
  const strength = open({ answerWithinMs: 1 })
  await assert.rejects(strength.estimate('correct horse', []), (error) => error instanceof Problem && error.code === 'unavailable')
  const patient = open()
  assert.ok((await patient.estimate('correct horse', [])) > 0)
})

test('a flood is told to come again, and those in the queue are judged', async () => {
  const strength = open({ queueLimit: 3 })
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => strength.estimate('correct horse', [])))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3)
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal((outcome.reason as Problem).code, 'unavailable')
  assert.ok((await strength.estimate('correct horse', [])) > 0)
})

test('a thread that was idle for a while is gone, and comes back', async () => {
  const strength = open({ idleMs: 1 })
  const first = await strength.estimate('correct horse', [])
  await new Promise<void>((resolve) => setImmediate(resolve))
  assert.equal(await strength.estimate('correct horse', []), first)
})

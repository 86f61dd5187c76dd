/**
 * A proof of work: the browser finds a text whose SHA-256 behind our salt begins with so many zero bits. No third party learns who signs in. The
 * salt is random, kept in the attempt, and good for one answer.
 */
import { hash } from 'node:crypto'
import { randomToken } from '#/lib/crypto.ts'
import { type Ask, type Stage, type StageInput, textIn } from '../stage.ts'

const longest = 64

export const captcha: Stage = {
  challenge: async (_, input) => {
    const known = textIn(input.kept, 'salt')
    const salt = known === '' ? randomToken(16) : known
    return { kind: 'ask', ask: ask(input, salt), ...(known === '' ? { keep: { salt } } : {}) }
  },
  answer: async (_, input, answer) => {
    const salt = textIn(input.kept, 'salt')
    const solution = textIn(answer, 'solution')
    if (
      salt !== '' &&
      solution !== '' &&
      solution.length <= longest &&
      hasZeroBits(hash('sha256', salt + solution, 'buffer'), difficultyOf(input))
    )
      return { kind: 'passed', facts: {} }
    const next = randomToken(16)
    return { kind: 'failed', reason: 'InvalidAnswer', ask: ask(input, next, 'mistake.captcha'), keep: { salt: next } }
  },
}

const difficultyOf = ({ settings }: StageInput): number => Number(settings.difficulty)

export const hasZeroBits = (digest: Buffer, bits: number): boolean => {
  const whole = bits >> 3
  for (let index = 0; index < whole; index += 1) if (digest[index] !== 0) return false
  const rest = bits & 7
  return rest === 0 || (digest[whole] ?? 255) >> (8 - rest) === 0
}

const ask = (input: StageInput, salt: string, mistake?: string): Ask => ({
  fields: [{ name: 'solution', type: 'hidden', required: true }],
  mistakes: mistake ? [{ field: 'solution', detail: mistake }] : [],
  more: { captcha: { salt, difficulty: difficultyOf(input) } },
})

/**
 * How hard a password is to guess (zxcvbn). Its dictionaries take a second to load and 80 MB to keep, and there are short passwords that keep it
 * busy for seconds (every character one that could stand for another). So it lives in a thread of its own: started for the first password
 * that is judged, ended when none was for a while, and stopped when it takes too long. At rest it costs nothing.
 */
import { Worker } from 'node:worker_threads'
import { Problem } from '#/lib/problem.ts'
import type { Strength } from '#/policy/password_rules.ts'

export interface PasswordStrength {
  /** `words` are easy to guess for this person. Throws Problem `unavailable` when too many wait, or it takes too long. */
  estimate(plain: string, words: readonly string[]): Promise<Strength>
  close(): Promise<void>
}

export interface PasswordStrengthOptions {
  idleMs?: number
  /** For one, loading included. */
  answerWithinMs?: number
  queueLimit?: number
}

/** Longer ones are judged by their beginning. At 64, the worst that was found takes a second; at its default of 256, and with as many substitutions, twelve. */
export const judgedCharacters = 64

const unavailable = (log: string) =>
  new Problem('unavailable', { detail: 'too many passwords are being set at the moment', retryAfter: 5, log })

export const openPasswordStrength = ({
  idleMs = 60_000,
  answerWithinMs = 15_000,
  queueLimit = 32,
}: PasswordStrengthOptions = {}): PasswordStrength => {
  let thread: Worker | undefined
  let ending: NodeJS.Timeout | undefined
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false

  const end = async (): Promise<void> => {
    clearTimeout(ending)
    const ended = thread
    thread = undefined
    await ended?.terminate()
  }

  const start = (): Worker => {
    const worker = new Worker(new URL('password_strength_thread.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 256 } })
    worker.unref()
    return worker
  }

  const ask = (plain: string, words: readonly string[]): Promise<Strength> => {
    clearTimeout(ending)
    if (closed) throw new Error('the password hasher is closed')
    thread ??= start()
    const worker = thread
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        clearTimeout(late)
        worker.off('message', answered).off('error', failed).off('exit', gone).unref()
        outcome()
      }
      const answered = (score: Strength) => {
        ending = setTimeout(() => void end(), idleMs).unref()
        settle(() => resolve(score))
      }
      const breakOff = (error: Error) => {
        if (thread === worker) thread = undefined
        settle(() => reject(error))
        void worker.terminate()
      }
      const failed = (error: Error) => breakOff(error)
      const gone = () => breakOff(new Error('the thread that judges passwords ended'))
      const late = setTimeout(() => breakOff(unavailable('judging a password took too long')), answerWithinMs)
      worker.on('message', answered).on('error', failed).on('exit', gone).ref()
      worker.postMessage({ plain, words })
    })
  }

  return {
    estimate: async (plain, words) => {
      if (waiting >= queueLimit) throw unavailable('the queue of passwords to be judged is full')
      waiting++
      const mine = last.then(() => ask([...plain].slice(0, judgedCharacters).join(''), words)).finally(() => waiting--)
      last = mine.catch(() => {})
      return mine
    },
    close: async () => {
      closed = true
      await end()
    },
  }
}

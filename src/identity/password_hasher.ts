/**
 * Hashing passwords costs time and memory on purpose, so whoever may ask for it without limit can take the machine down. Here no more run
 * at once than there are cores, no more wait than a few seconds' worth, and the next one is told to come again (503 with Retry-After).
 *
 * Argon2, PBKDF2 and scrypt run in the threads of libuv. What only exists in JavaScript (bcrypt, crypt) runs in worker threads that are
 * started when the first such hash is met and end when none was for a while: a handful of imported hashes costs nothing at rest.
 */
import { availableParallelism } from 'node:os'
import { Problem } from '#/lib/problem.ts'
import { isImpossible, type Strength } from '#/policy/password_rules.ts'
import { openBreachedPasswords } from './breached_passwords.ts'
import { openFailureTime } from './failure_time.ts'
import { openPasswordStrength } from './password_strength.ts'
import { argon2, hashArgon2id } from './schemes/argon2.ts'
import type { StoredHash } from './schemes/scheme.ts'
import { openSchemeThreads } from './schemes/threads.ts'
import { findStoredHash } from './stored_hash.ts'

export interface Verdict {
  ok: boolean
  /** It is this password, and should be hashed anew: it is of another scheme or other costs than ours today. */
  rehash: boolean
}

export interface PasswordHasher {
  /** A new Argon2id hash. Throws Problem `unavailable` when too many wait. */
  hash(plain: string): Promise<string>
  /** Never throws for a hash that can't be understood: that is no password of anyone's. Throws Problem `unavailable` when too many wait. */
  verify(stored: string, plain: string): Promise<Verdict>
  /** Finds out what hashes like these take, so that the first failure with one of them is like all others. */
  learn(stored: readonly string[]): Promise<void>
  /** Takes as long as `verify`, so that timing does not tell which names exist. */
  verifyNobody(plain: string): Promise<void>
  /** How hard it is to guess, in a thread of its own; `words` are easy for this person. Throws Problem `unavailable` when too many wait. */
  strength(plain: string, words: readonly string[]): Promise<Strength>
  /** Whether it stands in the list of those that leaked; false without a list. Throws UnreadableList. */
  isBreached(plain: string): Promise<boolean>
  /** Ends its threads. */
  close(): Promise<void>
}

export interface PasswordHasherOptions {
  /** Hashes computed at once. */
  concurrency?: number | undefined
  /** Requests that wait at most. */
  queueLimit?: number | undefined
  /** Folder of the list of passwords that leaked. */
  breachedPasswordsDir?: string | undefined
}

/** Whoever would wait longer is told at once. */
const longestWaitMs = 8_000

/** What a person typed in the form that is hashed: how a keyboard composes letters and blanks does not matter (RFC 8265 section 4.2). */
const prepare = (plain: string): string => plain.normalize('NFC').replace(/\p{Zs}/gu, ' ')

/** A hash like ours that no password has: its salt and tag are not of this world, its costs are. */
const nobody = async () => argon2.parse(await hashArgon2id('nobody'))

/** Threads of libuv, where file and name look-ups want one as well. */
const threads = () => Math.max(1, Number(process.env.UV_THREADPOOL_SIZE ?? 4) - 1)

export const openPasswordHasher = ({
  concurrency = Math.min(availableParallelism(), threads()),
  queueLimit = 64 * concurrency,
  breachedPasswordsDir,
}: PasswordHasherOptions = {}): PasswordHasher => {
  const schemeThreads = openSchemeThreads(concurrency)
  const strength = openPasswordStrength()
  const breached = breachedPasswordsDir === undefined ? undefined : openBreachedPasswords(breachedPasswordsDir)
  const waiting: (() => void)[] = []
  let running = 0
  /** What one takes, in milliseconds, as of late. */
  let usualMs = 50

  const turn = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running >= concurrency) {
      const waitMs = (waiting.length * usualMs) / concurrency
      if (waiting.length >= queueLimit || (waitMs > longestWaitMs && waiting.length >= concurrency))
        throw new Problem('unavailable', {
          detail: 'too many people are signing in at the moment',
          retryAfter: Math.max(1, Math.ceil(waitMs / 1_000)),
          log: 'the queue of the password hasher is full',
        })
      await new Promise<void>((resume) => waiting.push(resume))
    } else running++
    const began = performance.now()
    try {
      return await work()
    } finally {
      usualMs += (performance.now() - began - usualMs) / 16
      const next = waiting.shift()
      // The place goes from hand to hand: `running` stays as it is.
      if (next) next()
      else running--
    }
  }

  let dummy: ReturnType<typeof nobody> | undefined
  /** What ours takes, in milliseconds, as of late. */
  let oursMs = 50
  const compareWithNobody = async (plain: string): Promise<void> => {
    dummy ??= nobody()
    const hash = await dummy
    if (!hash || !('verify' in hash)) return
    const began = performance.now()
    await hash.verify(plain)
    oursMs += (performance.now() - began - oursMs) / 16
  }

  const failures = openFailureTime()
  /** Of another system, which hashed what was typed as it came. */
  const verifyImported = async (hash: StoredHash, stored: string, plain: string): Promise<boolean> => {
    const began = performance.now()
    const ok = hash.blocks ? await schemeThreads.verify(stored, plain) : await hash.verify(plain)
    failures.took(hash.form, performance.now() - began)
    return ok
  }

  const verify = async (stored: string, plain: string): Promise<Verdict> => {
    const hash = findStoredHash(stored)
    if (!hash || isImpossible(plain)) {
      await compareWithNobody('')
      return { ok: false, rehash: false }
    }
    if (hash.isCurrent) return { ok: await hash.verify(prepare(plain)), rehash: false }
    const ok = await verifyImported(hash, stored, plain)
    // A wrong password takes the time of ours too, else a quick answer would tell of a user with an old and quick hash.
    if (!ok) await compareWithNobody('')
    return { ok, rehash: ok }
  }

  /** In a turn; a failure is told when all failures are, and its turn is over before. */
  const timed = async (work: () => Promise<Verdict>): Promise<Verdict> => {
    let began = 0
    const verdict = await turn(() => {
      began = performance.now()
      return work()
    })
    if (!verdict.ok) await failures.settle(began, oursMs)
    return verdict
  }

  return {
    hash: async (plain) => {
      if (isImpossible(plain)) throw new Problem('invalid', { errors: [{ pointer: '/password', detail: 'is empty, too long or has NUL' }] })
      return turn(() => hashArgon2id(prepare(plain)))
    },
    verify: (stored, plain) => timed(() => verify(stored, plain)),
    verifyNobody: async (plain) => {
      await timed(async () => {
        await compareWithNobody(isImpossible(plain) ? '' : prepare(plain))
        return { ok: false, rehash: false }
      })
    },
    learn: async (list) => {
      for (const stored of list) {
        const hash = findStoredHash(stored)
        if (hash && !hash.isCurrent && !failures.isKnown(hash.form)) await turn(() => verifyImported(hash, stored, 'nobody'))
      }
    },
    strength: strength.estimate,
    isBreached: async (plain) => (await breached?.has(prepare(plain))) ?? false,
    close: async () => {
      await Promise.all([schemeThreads.close(), strength.close()])
    },
  }
}

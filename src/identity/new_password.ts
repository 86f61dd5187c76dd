/** Whether something may become a person's password: gathers what the rules ask for and lets `policy/password_rules` judge. */
import { recordEvent } from '#/events/record.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { listPasswordHistory } from '#/model/password_history.ts'
import { findPassword } from '#/model/passwords.ts'
import { isImpossible, judgePassword, type PasswordMistake, type PasswordRules, type Person } from '#/policy/password_rules.ts'
import { UnreadableList } from './breached_passwords.ts'
import type { PasswordHasher } from './password_hasher.ts'

export interface Candidate {
  plain: string
  rules: PasswordRules
  person: Person
  /** Absent: of someone who is yet to be created. */
  user_id?: string | undefined
}

/** Every mistake: `errors` for programs, `mistakes` for pages, whose texts are `mistake.{code}` of the message catalogue. */
export class UnfitPassword extends Problem {
  readonly mistakes: readonly PasswordMistake[]
  constructor(mistakes: readonly PasswordMistake[], pointer = '/password') {
    super('invalid', { errors: mistakes.map(({ detail }) => ({ pointer, detail })) })
    this.mistakes = mistakes
  }
}

interface Deps {
  db: Db
  passwords: PasswordHasher
}

/**
 * Throws UnfitPassword; Problem `unavailable` when too many are being set, or a list of leaked passwords can't be read. Who calls it makes sure
 * first that it is the person (or someone who may set it for them): its answer tells whether they had this password before.
 */
export const checkNewPassword = async (deps: Deps, candidate: Candidate, now: Date): Promise<void> => {
  const { plain, rules, person } = candidate
  const facts = isImpossible(plain) ? {} : await findFacts(deps, candidate, now)
  const mistakes = judgePassword(plain, rules, { person, ...facts })
  if (mistakes.length) throw new UnfitPassword(mistakes)
}

/** Only what the rules ask for: each costs something. */
const findFacts = async ({ db, passwords }: Deps, { plain, rules, person, user_id }: Candidate, now: Date) => {
  const words = [person.username, person.email, ...(person.name?.split(/\s+/) ?? [])].filter((word) => typeof word === 'string')
  return {
    strength: rules.minStrength > 0 ? await passwords.strength(plain, words.slice(0, 20)) : undefined,
    isBreached: rules.breached ? await isBreached({ db, passwords }, plain, now) : undefined,
    isReused: rules.history > 0 ? await isReused({ db, passwords }, { plain, rules, user_id }) : undefined,
  }
}

/** One after the other, so that one person takes one place of the hasher. */
const isReused = async ({ db, passwords }: Deps, { plain, rules, user_id }: Pick<Candidate, 'plain' | 'rules' | 'user_id'>) => {
  if (user_id === undefined) return false
  const present = await findPassword(db, user_id)
  const earlier = rules.history > 1 ? await listPasswordHistory(db, user_id, rules.history - 1) : []
  for (const hash of present ? [present.hash, ...earlier] : earlier) if ((await passwords.verify(hash, plain)).ok) return true
  return false
}

const isBreached = async ({ db, passwords }: Deps, plain: string, now: Date): Promise<boolean> => {
  try {
    return await passwords.isBreached(plain)
  } catch (cause) {
    if (!(cause instanceof UnreadableList)) throw cause
    if (cause.isNews)
      await recordEvent(
        db,
        {
          action: 'configuration.error',
          severity: 'error',
          actor: 'password rules',
          target: { kind: 'Setting', name: 'BREACHED_PASSWORDS_DIR' },
          data: { detail: `no password can be set: ${cause.message}` },
        },
        now,
      )
    throw new Problem('unavailable', {
      detail: 'passwords can not be set at the moment; those who run this have been told',
      retryAfter: 60,
      log: `BREACHED_PASSWORDS_DIR: ${cause.message}`,
      cause,
    })
  }
}

/**
 * What may become a password, and how long it stays one: pure. What must be looked up (strength, lists, earlier ones) comes as facts; a fact
 * that a rule asks for and nobody found counts against the password.
 */
import type { PasswordRules } from '#/kinds/user_store.ts'
import { parseDuration } from '#/lib/clock.ts'

export type { PasswordRules } from '#/kinds/user_store.ts'

export interface Person {
  username?: string | null | undefined
  email?: string | null | undefined
  name?: string | null | undefined
}

/** From 0 (guessed at once) to 4. */
export type Strength = 0 | 1 | 2 | 3 | 4

export interface PasswordFacts {
  person: Person
  strength?: Strength | undefined
  /** It stands in the list of those that leaked. */
  isBreached?: boolean | undefined
  /** It is one of the last that the rules forbid. */
  isReused?: boolean | undefined
}

export interface PasswordMistake {
  /** `mistake.{code}` of the message catalogue. */
  code:
    | 'password_malformed'
    | 'password_too_short'
    | 'password_too_long'
    | 'password_weak'
    | 'password_personal'
    | 'password_breached'
    | 'password_reused'
  /** What the message fills in. */
  values: Readonly<Record<string, number>>
  /** For programs, in English. */
  detail: string
}

/** Bytes (UTF-8) of a password at most, whatever the rules say, so that nobody sends a novel to be hashed. */
export const longestPassword = 1_024

/** Nothing that could be hashed: no look-up is worth its while. Implementations in C end a password at NUL, so a longer one would equal a shorter one. */
export const isImpossible = (plain: string): boolean =>
  plain.length === 0 || plain.includes('\0') || !plain.isWellFormed() || Buffer.byteLength(plain) > longestPassword

/** Every mistake at once; none: it may become the password. */
export const judgePassword = (plain: string, rules: PasswordRules, facts: PasswordFacts): PasswordMistake[] => {
  const mistakes: PasswordMistake[] = []
  const add = (code: PasswordMistake['code'], detail: string, values: PasswordMistake['values'] = {}) =>
    mistakes.push({ code, values, detail })
  const length = [...plain].length
  if (plain.includes('\0') || !plain.isWellFormed()) add('password_malformed', 'has a character that no password can have')
  if (length < rules.minLength) add('password_too_short', `wants at least ${rules.minLength} characters`, { min: rules.minLength })
  if (length > rules.maxLength) add('password_too_long', `has more than ${rules.maxLength} characters`, { max: rules.maxLength })
  else if (Buffer.byteLength(plain) > longestPassword)
    // So many characters fit in any script.
    add('password_too_long', `has more than ${longestPassword} bytes`, { max: longestPassword / 4 })
  if (rules.forbidPersonal && isPersonal(plain, facts.person)) add('password_personal', 'contains the username, e-mail address or name')
  // What can't be hashed was looked up nowhere, and is refused already.
  if (isImpossible(plain)) return mistakes
  if ((facts.strength ?? 0) < rules.minStrength) add('password_weak', 'is easy to guess')
  if (rules.breached && facts.isBreached !== false) add('password_breached', 'is in a list of passwords that have leaked')
  if (rules.history > 0 && facts.isReused !== false)
    add('password_reused', `is one of the last ${rules.history} passwords`, { count: rules.history })
  return mistakes
}

/** Whole names count from three characters, words of them from four: Jo Li may well write “jolly”. */
const isPersonal = (plain: string, { username, email, name }: Person): boolean => {
  const password = letters(plain)
  const mailbox = email?.slice(0, email.lastIndexOf('@'))
  const wholes = [username, email, mailbox, name].map((text) => letters(text ?? '')).filter((text) => text.length >= 3)
  const words = [username, mailbox, name].flatMap((text) => (text ?? '').split(/[^\p{L}\p{N}\p{M}]+/u).map(letters))
  return [...wholes, ...words.filter((word) => word.length >= 4)].some((text) => password.includes(text))
}

/** Letters and digits as a person sees them: without case, marks and what stands between them. */
const letters = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[^\p{L}\p{N}]/gu, '')

/** Whether a password that was set then must be replaced before anything else. */
export const isExpired = (changedAt: Date, { maxAge }: PasswordRules, now: Date): boolean => {
  const age = maxAge === undefined ? undefined : parseDuration(maxAge)
  return age !== undefined && now.getTime() - changedAt.getTime() >= age
}

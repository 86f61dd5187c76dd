/** A person changes their e-mail address. What is asked and typed here is judged by `identity/email_change`; the mails and wrong codes are counted here. */
import { addFailure, codeCounters, countMail, findLockOut } from '#/flow/failures.ts'
import type { AccountEmail } from '#/flow/portal_pages.ts'
import { askEmailChange, confirmEmailChange, findPendingEmailChange, withdrawEmailChange } from '#/identity/email_change.ts'
import { emailField } from '#/identity/field.ts'
import { canSend } from '#/identity/mail.ts'
import { emailKey } from '#/identity/name_key.ts'
import { isFresh } from '#/identity/sessions.ts'
import { Problem } from '#/lib/problem.ts'
import type { PortalDeps } from './deps.ts'
import { changeOf, type Person, toldChangeOf } from './person.ts'

type Deps = Pick<PortalDeps, 'db' | 'settings' | 'rootSecret'>

export const shownEmail = async (
  { db, settings }: Deps,
  person: Person,
  now: Date,
): Promise<Omit<AccountEmail, 'person' | 'token' | 'sign_out' | 'notice' | 'mistakes' | 'sign_in'>> => {
  const { id, email, emailVerified } = person.session.user
  const pending = canSend(settings) ? await findPendingEmailChange(db, id, now) : undefined
  return {
    ...(email ? { email } : {}),
    isConfirmed: emailVerified,
    canSend: canSend(settings),
    isFresh: isFresh(person.session, now),
    ...(pending ? { pending } : {}),
  }
}

export type EmailPosted =
  | { kind: 'done'; notice: 'email_asked' | 'email_agreed' | 'email_changed' | 'email_withdrawn' }
  | { kind: 'sign_in_first' }
  /** `key` is of the message catalogue; `value` is what was typed. */
  | { kind: 'refused'; status: 400 | 409 | 429; field: string; key: string; value?: string; retryAfter?: number }

export const postEmail = async (deps: Deps, person: Person, body: Readonly<Record<string, string>>, now: Date): Promise<EmailPosted> => {
  if (!canSend(deps.settings))
    throw new Problem('conflict', { detail: 'no mail can be sent, so addresses are changed by an administrator' })
  const { id } = person.session.user
  if (body.withdraw !== undefined) {
    await withdrawEmailChange(deps.db, id, changeOf(person), now)
    return { kind: 'done', notice: 'email_withdrawn' }
  }
  return body.code === undefined ? ask(deps, person, body.email ?? '', now) : confirm(deps, person, body.code, now)
}

const ask = async (deps: Deps, person: Person, typed: string, now: Date): Promise<EmailPosted> => {
  if (!isFresh(person.session, now)) return { kind: 'sign_in_first' }
  const { user } = person.session
  const parsed = emailField.safeParse(typed)
  const refused = (key: string, rest: { status?: 429; retryAfter?: number } = {}): EmailPosted => ({
    kind: 'refused',
    status: 400,
    field: 'email',
    key,
    value: typed.slice(0, 320),
    ...rest,
  })
  if (!parsed.success) return refused(typed.trim() === '' ? 'mistake.field_required' : 'mistake.email_malformed')
  const email = parsed.data
  if (user.emailVerified && user.email !== null && emailKey(user.email) === emailKey(email)) return refused('mistake.email_same')
  try {
    for (const address of [email, ...(user.email !== null && user.emailVerified ? [user.email] : [])])
      await countMail(deps.db, { address, network: person.network }, now)
  } catch (error) {
    if (!(error instanceof Problem) || error.retryAfter === undefined || error.code !== 'too_many_requests') throw error
    return refused('mistake.too_many_mails', { status: 429, retryAfter: error.retryAfter })
  }
  await askEmailChange(
    deps,
    { user_id: user.id, email, ...mailedTo(person), url: addressOf(person, '/account/email') },
    changeOf(person),
    now,
  )
  return { kind: 'done', notice: 'email_asked' }
}

const confirm = async (deps: Deps, person: Person, code: string, now: Date): Promise<EmailPosted> => {
  const { id } = person.session.user
  const refused = (key: string, rest: { status?: 429; retryAfter?: number } = {}): EmailPosted => ({
    kind: 'refused',
    status: 400,
    field: 'code',
    key,
    ...rest,
  })
  if (code.trim() === '') return refused('mistake.code_required')
  const counters = codeCounters({ account: `email_change:${id}`, network: person.network })
  const retryAfter = await findLockOut(deps.db, counters, now)
  if (retryAfter !== undefined) return refused('mistake.too_many_codes', { status: 429, retryAfter })
  const step = await confirmEmailChange(deps, { user_id: id, code }, toldChangeOf(person, deps), now)
  if (step.kind === 'agreed') return { kind: 'done', notice: 'email_agreed' }
  if (step.kind === 'changed') return { kind: 'done', notice: 'email_changed' }
  if (step.kind === 'taken') return { kind: 'refused', status: 409, field: 'email', key: 'mistake.email_taken' }
  if (step.kind === 'wrong') await addFailure(deps.db, counters, now)
  return refused(step.kind === 'wrong' && !step.isLast ? 'mistake.code' : 'mistake.email_change_over')
}

const mailedTo = ({ authServer, locales, session }: Person) => ({
  product: authServer.displayName,
  locale: session.user.locale ?? locales[0] ?? null,
})

const addressOf = ({ authServer }: Person, path: string): string => `${authServer.issuerUrl}${path}`

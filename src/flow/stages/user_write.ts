import { consumeInvitation } from '#/identity/invitations.ts'
import { createUser, type User, updateUser } from '#/identity/users.ts'
import type { StageSettings } from '#/kinds/flow_stages.ts'
import { Problem } from '#/lib/problem.ts'
import { storeAcceptedTerms } from '#/model/accepted_terms.ts'
import { storePassword } from '#/model/passwords.ts'
import { AskAgain } from '../ask_again.ts'
import { changeBy } from '../change_by.ts'
import { type Facts, type FieldMistake, type FlowDeps, type Stage, type StageInput, textIn } from '../stage.ts'
import { invitedOf } from './invitation.ts'

/**
 * Makes the person out of what was prompted, or changes the one that is known. It asks nothing: it runs in the transaction of the attempt, so
 * an invitation is used when the person is there, and a second post of the same finds it used.
 */
export const user_write: Stage = {
  challenge: async (deps, input) => {
    const { facts, carried, request, now } = input
    const { network, requestId } = request
    if (facts.user_id !== undefined) {
      const { username: _, ...changed } = fieldsOf(input)
      await orAskAgain(input, updateUser(deps.db, facts.user_id, changed, changeBy(facts.username ?? 'anonymous', deps, request), now))
      return { kind: 'passed', facts: {} }
    }
    const { invitation } = facts
    const fields = fieldsOf(input)
    const username = String(fields.username ?? 'anonymous')
    if (invitation) {
      const invited = invitedOf(deps, input)
      const change = { actor: username, network, requestId, username }
      if (!invited || !(await consumeInvitation(deps.db, invited, change, now))) return { kind: 'denied', reason: 'invitation_invalid' }
    }
    const user = await orAskAgain(input, createUser(deps.db, fields, { actor: username, network, requestId }, now))
    const hash = textIn(carried, 'password_hash')
    if (hash !== '') await storePassword(deps.db, user.id, hash, now)
    await acceptTerms(deps, input, user.id)
    const made = madeWith(user, hash !== '', now)
    return { kind: 'passed', facts: hash === '' ? made : { ...made, password_version: now.getTime() } }
  },
  foresee: async (_, { facts, carried, now }, { user }) => ({
    kind: 'passed',
    facts: facts.user_id === undefined ? madeWith(user, carried.password_hash !== undefined, now) : {},
  }),
}

const madeWith = ({ id, username }: User, hasPassword: boolean, now: Date): Facts => ({
  user_id: id,
  username,
  ...(hasPassword ? { amr: ['pwd'], auth_time: Math.floor(now.getTime() / 1_000) } : {}),
})

/** Throws AskAgain for a name or an address that is taken. Whose mailbox is not proven is not told why, and it counts as a guess. */
const orAskAgain = async <Result>({ facts }: StageInput, writing: Promise<Result>): Promise<Result> => {
  try {
    return await writing
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'conflict') throw error
    const taken = error.errors.map(({ pointer }) => pointer.slice(1))
    const isGuess = taken.includes('email') && !isProven(facts) && facts.user_id === undefined
    const mistakes = taken.flatMap((field): FieldMistake[] => {
      if (field === 'username') return [{ field, detail: 'mistake.username_taken' }]
      return field === 'email' ? [{ field, detail: isProven(facts) ? 'mistake.email_taken' : 'mistake.email_unusable' }] : []
    })
    if (mistakes.length === 0) throw error
    throw new AskAgain(mistakes, isGuess ? 'InvalidCredentials' : 'InvalidAnswer')
  }
}

const acceptTerms = async ({ db }: FlowDeps, { facts: { accepted_terms: version }, now }: StageInput, user_id: string): Promise<void> => {
  if (version !== undefined) await storeAcceptedTerms(db, { user_id, version }, now)
}

const ofUser = ['username', 'name', 'email', 'locale'] as const

const emailOf = ({ prompted, invitation }: Facts): string | undefined => prompted?.email ?? invitation?.email

/** An address is confirmed when its mailbox was proven, or the invitation went there. */
const isProven = (facts: Facts): boolean => {
  const email = emailOf(facts)
  return email !== undefined && (email === facts.proven_email || email === facts.invitation?.email)
}

/** What an invitation says stands over what was typed. */
const fieldsOf = ({ facts, settings }: StageInput): Record<string, unknown> => {
  const { prompted = {}, invitation, user_id } = facts
  // Checked by the kind.
  const { groups = [], attributes } = settings as StageSettings<'user_write'>
  const kept = Object.entries(prompted).filter(
    ([name]) => !(ofUser as readonly string[]).includes(name) && (attributes?.includes(name) ?? true),
  )
  const email = emailOf(facts)
  const own = Object.fromEntries(ofUser.flatMap((name) => (prompted[name] === undefined ? [] : [[name, prompted[name]]])))
  return {
    ...(invitation?.name ? { name: invitation.name } : {}),
    ...(invitation?.locale ? { locale: invitation.locale } : {}),
    ...own,
    ...(email === undefined ? {} : { email, emailVerified: isProven(facts) }),
    ...(user_id === undefined ? { groups: [...new Set([...groups, ...(invitation?.groups ?? [])])] } : {}),
    ...(kept.length ? { attributes: Object.fromEntries(kept) } : {}),
  }
}

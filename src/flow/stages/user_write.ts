import { consumeInvitation } from '#/identity/invitations.ts'
import { createUser, type User, updateUser } from '#/identity/users.ts'
import type { StageSettings } from '#/kinds/flow_stages.ts'
import { storeAcceptedTerms } from '#/model/accepted_terms.ts'
import { storePassword } from '#/model/passwords.ts'
import { type Facts, type FlowDeps, type Stage, type StageInput, textIn } from '../stage.ts'
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
      await updateUser(deps.db, facts.user_id, changed, { actor: facts.username ?? 'anonymous', network, requestId }, now)
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
    const user = await createUser(deps.db, fields, { actor: username, network, requestId }, now)
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

const acceptTerms = async ({ db }: FlowDeps, { facts: { accepted_terms: version }, now }: StageInput, user_id: string): Promise<void> => {
  if (version !== undefined) await storeAcceptedTerms(db, { user_id, version }, now)
}

const ofUser = ['username', 'name', 'email', 'locale'] as const

/** An address is confirmed when its mailbox was proven, or the invitation went there. What an invitation says stands over what was typed. */
const fieldsOf = ({ facts, settings }: StageInput): Record<string, unknown> => {
  const { prompted = {}, invitation, proven_email, user_id } = facts
  // Checked by the kind.
  const { groups = [], attributes } = settings as StageSettings<'user_write'>
  const kept = Object.entries(prompted).filter(
    ([name]) => !(ofUser as readonly string[]).includes(name) && (attributes?.includes(name) ?? true),
  )
  const email = prompted.email ?? invitation?.email
  const isProven = email !== undefined && (email === proven_email || email === invitation?.email)
  const own = Object.fromEntries(ofUser.flatMap((name) => (prompted[name] === undefined ? [] : [[name, prompted[name]]])))
  return {
    ...(invitation?.name ? { name: invitation.name } : {}),
    ...(invitation?.locale ? { locale: invitation.locale } : {}),
    ...own,
    ...(email === undefined ? {} : { email, emailVerified: isProven }),
    ...(user_id === undefined ? { groups: [...new Set([...groups, ...(invitation?.groups ?? [])])] } : {}),
    ...(kept.length ? { attributes: Object.fromEntries(kept) } : {}),
  }
}

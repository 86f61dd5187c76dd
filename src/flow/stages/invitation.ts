import { findInvited } from '#/identity/invitations.ts'
import { type FlowDeps, type Stage, type StageInput, textIn } from '../stage.ts'

/**
 * Only whoever came by an invitation goes on. Opening it uses nothing up; it is used by user_write, in the transaction that makes the person.
 * Without one that holds the attempt ends, whatever was wrong with it.
 */
export const invitation: Stage = {
  challenge: async (deps, input) => {
    const invited = invitedOf(deps, input)
    const found = invited && (await findInvited(deps.db, invited, input.now))
    if (!found) return { kind: 'denied', reason: 'invitation_invalid' }
    const { email, name, locale, groups } = found
    return {
      kind: 'passed',
      facts: {
        invitation: {
          ...(email ? { email } : {}),
          ...(name ? { name } : {}),
          ...(locale ? { locale } : {}),
          ...(groups.length ? { groups } : {}),
        },
      },
    }
  },
  // As if they came by one that fixes nothing.
  foresee: async () => ({ kind: 'passed', facts: { invitation: {} } }),
}

/** Undefined for who came without one. */
export const invitedOf = ({ snapshot }: FlowDeps, { carried, flow, request }: StageInput) => {
  const token = textIn(carried, 'token')
  if (token === '') return undefined
  return { token, issuer: request.authServer.issuerUrl, flow_name: flow, roles: snapshot.list('Role').map(({ spec }) => spec) }
}

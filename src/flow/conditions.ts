/** Whether a stage's turn comes: its `when`, evaluated over what is known so far. */
import { effectiveGroups } from '#/identity/groups.ts'
import { findReputation } from '#/identity/reputation.ts'
import { findUser } from '#/identity/users.ts'
import type { CompiledStage } from './flows.ts'
import type { FlowDeps, StageInput } from './stage.ts'

export type Turn = 'comes' | 'left_out' | { failed: string }

const nobody = { username: '', name: '', email: '', active: false, groups: [], attributes: {} }

/** Who a person is counts from when they have proven something: before that nothing about a name that was merely typed may show. */
const userOf = async ({ db }: FlowDeps, user_id: string | undefined) => {
  const user = user_id === undefined ? undefined : await findUser(db, user_id)
  if (!user) return nobody
  const { username, name, email, active, attributes } = user
  return { username, name: name ?? '', email: email ?? '', active, attributes, groups: await effectiveGroups(db, user.id) }
}

/** Reads only what the expression names. */
export const turnOf = async (
  deps: FlowDeps,
  { when }: CompiledStage,
  input: Pick<StageInput, 'facts' | 'context' | 'request' | 'now'>,
): Promise<Turn> => {
  if (!when) return 'comes'
  const { facts, context, request, now } = input
  const { username, amr = [], acr = '', user_id } = facts
  // A database that is away is no mistake of the configuration.
  const user = when.reads.has('user') ? await userOf(deps, user_id) : nobody
  const reputation = when.reads.has('reputation') ? await findReputation(deps.db, request.network, now) : 0
  try {
    const holds = when.evaluate({
      user,
      request: {
        host: new URL(request.authServer.issuerUrl).host,
        userAgent: request.userAgent ?? '',
        locales: [...request.locales],
        acr_values: context.acr_values ?? [],
      },
      client: context.client ? { clientId: context.client.client_id, name: context.client.name } : {},
      network: request.network,
      facts: { username: username ?? '', amr, acr, isKnown: user_id !== undefined },
      // CEL's integers are BigInt.
      reputation: BigInt(reputation),
    })
    return holds === true ? 'comes' : 'left_out'
  } catch (error) {
    return { failed: (error as Error).message }
  }
}

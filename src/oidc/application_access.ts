/**
 * Who may use a client, as the Applications that name it say. At sign-in a refusal goes to the client as `access_denied`; at the token endpoint
 * codes and refresh tokens of whoever is kept out since give nothing.
 */
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { recordEvent } from '#/events/record.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Db } from '#/lib/sql.ts'
import type { Holder } from '#/model/grants.ts'
import { decideAccess } from '#/policy/application_access.ts'
import { type AccessRule, accessRules } from '#/resources/application_rules.ts'
import type { ResolvedAuthServer, Snapshot } from '#/resources/snapshot.ts'
import type { Person } from './account.ts'
import { callerOfContext } from './caller.ts'
import { factsOf } from './clients.ts'

interface Deps {
  db: Db
  clock: Clock
  snapshot: Snapshot
}

export interface ApplicationAccess {
  /** Whether anyone is kept out at all. */
  isGuarded(client_id: string): boolean
  /** Throws `access_denied` for a person whom one of the client's Applications keeps out. Silent while nobody is signed in. */
  check(context: KoaContextWithOIDC): Promise<void>
  /** Whether the client of a request to the token endpoint may still have tokens for the person. */
  mayHold(context: KoaContextWithOIDC, holder: Holder): Promise<boolean>
}

export const openApplicationAccess = (
  { db, clock, snapshot }: Deps,
  authServer: Pick<ResolvedAuthServer, 'namespace' | 'name'>,
): ApplicationAccess => {
  let generation: unknown
  let rules = new Map<string, AccessRule[]>()

  /** Collected once a change of configuration. */
  const rulesOf = (client_id: string): readonly AccessRule[] => {
    if (generation !== snapshot.generation) {
      generation = snapshot.generation
      rules = accessRules(snapshot, authServer)
    }
    return rules.get(client_id) ?? []
  }

  /** False, and an event, when one of the rules keeps the person out. */
  const isAllowed = async (client: Client, holder: Holder, where: { asked: string | undefined; from: string }): Promise<boolean> => {
    const wanted = rulesOf(client.clientId)
    if (!wanted.length) return true
    const groups = await effectiveGroups(db, holder.user_id)
    const shown = { name: client.clientName ?? client.clientId, clientId: client.clientId, labels: factsOf(client).labels }
    const refused = wanted
      .map((rule) => decideAccess(rule, { user: { ...holder, active: true }, groups, client: shown, network: where.asked }))
      .find((access) => access.kind === 'refused')
    if (!refused) return true
    await recordEvent(
      db,
      {
        action: refused.failed === undefined ? 'application.access_refused' : 'configuration.error',
        severity: 'warning',
        actor: holder.username,
        target: { kind: 'AuthClient', name: client.clientId },
        client: client.clientId,
        network: where.from,
        ...(refused.failed !== undefined && { data: { reason: refused.failed.slice(0, 300) } }),
      },
      clock(),
    )
    return false
  }

  return {
    isGuarded: (client_id) => rulesOf(client_id).length > 0,
    check: async ({ oidc }) => {
      const { client } = oidc
      // Found by our own findAccount, so it is a Person.
      const account = oidc.account as Person | undefined
      if (!client || !account) return
      const { network = '' } = callerOfContext()
      if (!(await isAllowed(client, account.holder, { asked: network, from: network })))
        throw new errors.AccessDenied('this person may not use the application')
    },
    mayHold: async ({ oidc: { client } }, holder) => {
      const { network = '' } = callerOfContext()
      return client !== undefined && (await isAllowed(client, holder, { asked: undefined, from: network }))
    },
  }
}

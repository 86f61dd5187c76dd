/** Who may sign in through a client, as the Applications that name it say. A refusal goes to the client as `access_denied`. */
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { recordEvent } from '#/events/record.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import type { ApplicationSpec } from '#/kinds/application.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Db } from '#/lib/sql.ts'
import { decideAccess } from '#/policy/application_access.ts'
import type { ResolvedAuthServer, Snapshot } from '#/resources/snapshot.ts'
import type { Person } from './account.ts'
import { callerOfContext } from './caller.ts'
import { factsOf } from './clients.ts'

interface Deps {
  db: Db
  clock: Clock
  snapshot: Snapshot
}

type Rule = NonNullable<ApplicationSpec['access']>

export interface ApplicationAccess {
  /** Whether anyone is kept out at all. */
  isGuarded(client_id: string): boolean
  /** Throws `access_denied` for a person whom one of the client's Applications keeps out. Silent while nobody is signed in. */
  check(context: KoaContextWithOIDC): Promise<void>
}

export const openApplicationAccess = (
  { db, clock, snapshot }: Deps,
  authServer: Pick<ResolvedAuthServer, 'namespace' | 'name'>,
): ApplicationAccess => {
  let generation: unknown
  let rules = new Map<string, Rule[]>()

  /** Collected once a change of configuration. A paused Application still keeps out whom it kept out. */
  const rulesOf = (client_id: string): readonly Rule[] => {
    if (generation !== snapshot.generation) {
      generation = snapshot.generation
      rules = new Map()
      for (const { metadata, spec } of snapshot.list('Application')) {
        const ref = spec.authClientRef
        const client = ref && snapshot.client(ref.namespace ?? metadata.namespace, ref.name)
        // Another AuthServer may have a client of the same id.
        const isOurs = client && snapshot.clientById(authServer.namespace, authServer.name, client.clientId) === client
        if (isOurs && spec.access) rules.set(client.clientId, [...(rules.get(client.clientId) ?? []), spec.access])
      }
    }
    return rules.get(client_id) ?? []
  }

  return {
    isGuarded: (client_id) => rulesOf(client_id).length > 0,
    check: async ({ oidc }) => {
      const { client } = oidc
      // Found by our own findAccount, so it is a Person.
      const account = oidc.account as Person | undefined
      if (!client || !account) return
      const wanted = rulesOf(client.clientId)
      if (!wanted.length) return
      const { holder } = account
      const groups = await effectiveGroups(db, holder.user_id)
      const { network = '' } = callerOfContext()
      const shown = { name: client.clientName ?? client.clientId, clientId: client.clientId, labels: factsOf(client).labels }
      const refused = wanted
        .map((rule) => decideAccess(rule, { user: { ...holder, active: true }, groups, client: shown, network }))
        .find((access) => access.kind === 'refused')
      if (!refused) return
      await recordEvent(
        db,
        {
          action: refused.failed === undefined ? 'application.access_refused' : 'configuration.error',
          severity: 'warning',
          actor: holder.username,
          target: { kind: 'AuthClient', name: client.clientId },
          client: client.clientId,
          network,
          ...(refused.failed !== undefined && { data: { reason: refused.failed.slice(0, 300) } }),
        },
        clock(),
      )
      throw new errors.AccessDenied('this person may not use the application')
    },
  }
}

import type { ApplicationSpec } from '#/kinds/application.ts'
import { clientOfApplication } from './outpost_client.ts'
import type { Snapshot } from './snapshot.ts'

export type AccessRule = NonNullable<ApplicationSpec['access']>

/** By client_id, what the Applications of an AuthServer's clients say about who may use them. A paused Application still keeps out whom it kept out. */
export const accessRules = (
  snapshot: Pick<Snapshot, 'list' | 'client' | 'clientById'>,
  authServer: { namespace: string; name: string },
): Map<string, AccessRule[]> => {
  const rules = new Map<string, AccessRule[]>()
  for (const application of snapshot.list('Application')) {
    const { spec } = application
    const client = clientOfApplication(snapshot, application)
    // Another AuthServer may have a client of the same id.
    const isOurs = client && snapshot.clientById(authServer.namespace, authServer.name, client.clientId) === client
    if (isOurs && spec.access) rules.set(client.clientId, [...(rules.get(client.clientId) ?? []), spec.access])
  }
  return rules
}

/**
 * What was granted to a client ends with it: grants with every token of them, and consents. Whoever is called by its client_id later is
 * someone else.
 *
 * There may be millions, too many for the transaction of a change, which all other changes wait for. So the transaction ends a batch and
 * leaves the rest to a task. Nothing can be done with that rest meanwhile, since its client is gone; and should a client of the same
 * client_id come before the task is through, its own transaction ends what is left. To mark grants with the client that they were given to
 * was refused: each request would have to compare it.
 */
import { type AuthClientResource, clientIdOf } from '#/kinds/auth_client.ts'
import { addTask } from '#/lib/queue.ts'
import type { Db } from '#/lib/sql.ts'
import { forgetConsentsOfClient } from '#/model/consents.ts'
import { type ClientIdentity, revokeGrantsOfClient } from '#/model/grants.ts'
import { findResource } from '#/model/resources.ts'

const batch = 1_000

/** Of an AuthClient as it is in force; undefined when it is not, or its AuthServer is not there. */
export const findClientIdentity = async (db: Db, namespace: string, name: string): Promise<ClientIdentity | undefined> => {
  const row = await findResource(db, 'AuthClient', namespace, name)
  if (!row?.active_spec) return undefined
  // What is stored was checked when it was written; these fields have no defaults.
  const spec = row.active_spec as AuthClientResource['spec']
  const { name: serverName, namespace: serverNamespace = namespace } = spec.authServerRef
  const server = await findResource(db, 'AuthServer', serverNamespace, serverName)
  const issuerUrl = server?.active_spec?.issuerUrl
  if (typeof issuerUrl !== 'string') return undefined
  return { issuer: issuerUrl.replace(/\/$/, ''), client_id: clientIdOf({ metadata: { namespace, name }, spec } as AuthClientResource) }
}

/** Ends a batch of what was granted until a time; whether that was all. */
const endBatch = async (db: Db, identity: ClientIdentity, until: Date): Promise<boolean> => {
  const ended = await revokeGrantsOfClient(db, identity, until, batch)
  const forgotten = await forgetConsentsOfClient(db, identity, until, batch)
  return ended < batch && forgotten < batch
}

/** Ends all that was granted until a time, each batch by itself. Whether it came to the end before it was told to stop. */
export const endClientGrants = async (db: Db, identity: ClientIdentity, until: Date, signal?: AbortSignal): Promise<boolean> => {
  while (!signal?.aborted) if (await endBatch(db, identity, until)) return true
  return false
}

/** After a change of a client, in its transaction: `before` and `after` are what it was and is to those who granted it something. */
export const followClientIdentity = async (
  db: Db,
  { before, after }: { before: ClientIdentity | undefined; after: ClientIdentity | undefined },
  now: Date,
): Promise<void> => {
  if (before?.issuer === after?.issuer && before?.client_id === after?.client_id) return
  if (before && !(await endBatch(db, before, now))) await addTask(db, 'end_client_grants', { ...before, until: now.toISOString() })
  if (after) await endClientGrants(db, after, now)
}

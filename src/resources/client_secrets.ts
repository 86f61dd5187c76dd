/** Secrets of confidential clients: made when a client is provisioned, shown, replaced with an overlap. */

import { recordEvent } from '#/events/record.ts'
import type { Change } from '#/identity/change.ts'
import { openVault, randomToken, type Vault } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import {
  deleteOldCredentials,
  hasCredential,
  insertCredential,
  listValidCredentials,
  retireCredential,
} from '#/model/client_credentials.ts'
import { lockConfiguration, touchResource } from '#/model/resources.ts'

export interface ClientSecret {
  secret: Secret
  createdAt: Date
  /** Undefined: the one in use. A time: replaced, and valid until then. */
  expiresAt: Date | undefined
}

const vaults = new WeakMap<Secret, Vault>()

const vaultOf = (rootSecret: Secret): Vault => {
  let vault = vaults.get(rootSecret)
  if (!vault) {
    vault = openVault(rootSecret, 'client_secret')
    vaults.set(rootSecret, vault)
  }
  return vault
}

const contextOf = (namespace: string, name: string): string => `${namespace}/${name}`

/** All that are valid now, the one in use first; empty for a client without secrets. */
export const findClientSecrets = async (db: Db, rootSecret: Secret, namespace: string, name: string, now: Date): Promise<ClientSecret[]> =>
  (await listValidCredentials(db, namespace, name, now)).map(({ sealed_secret, created_at, expires_at }) => ({
    secret: new Secret(vaultOf(rootSecret).open(sealed_secret, contextOf(namespace, name)).toString()),
    createdAt: created_at,
    expiresAt: expires_at ?? undefined,
  }))

/** Makes the client's secret when it has none. */
export const ensureClientSecret = async (db: Db, rootSecret: Secret, namespace: string, name: string, now: Date): Promise<void> => {
  if (!(await hasCredential(db, namespace, name))) await issue(db, rootSecret, namespace, name, now)
}

const issue = async (db: Db, rootSecret: Secret, namespace: string, name: string, now: Date): Promise<Secret> => {
  const secret = new Secret(randomToken())
  const made = await insertCredential(db, {
    credential_id: uuidv7(now),
    namespace,
    name,
    sealed_secret: vaultOf(rootSecret).seal(secret.reveal(), contextOf(namespace, name)),
    created_at: now,
  })
  if (!made) throw new Problem('conflict', { detail: 'its secret is being replaced at this moment' })
  return secret
}

/** Replaced secrets that stay valid at once; each costs a comparison when a client authenticates. */
const mostReplaced = 3

export interface Rotation extends Change {
  /** How long the old secret stays valid, in seconds. */
  overlap: number
}

/** Replaces the secret in one transaction with its event; the old one stays valid for the overlap. Throws Problem `not_found` for a client without secrets. */
export const rotateClientSecret = (
  { db, rootSecret }: { db: Db; rootSecret: Secret },
  namespace: string,
  name: string,
  { overlap, actor, network, requestId }: Rotation,
  now: Date,
): Promise<{ secret: Secret; oldExpiresAt: Date }> =>
  db.transaction(async (tx) => {
    await lockConfiguration(tx)
    const oldExpiresAt = new Date(now.getTime() + overlap * 1_000)
    if (!(await retireCredential(tx, namespace, name, oldExpiresAt)))
      throw new Problem('not_found', { detail: 'this client has no secret' })
    await deleteOldCredentials(tx, namespace, name, mostReplaced)
    const secret = await issue(tx, rootSecret, namespace, name, now)
    // Servers keep the secrets of a client for as long as its version: a withdrawn one ends with it.
    await touchResource(tx, 'AuthClient', namespace, name)
    await recordEvent(
      tx,
      {
        action: 'authclient.secret_rotated',
        actor,
        target: { kind: 'AuthClient', name: `${namespace}/${name}` },
        ...(network === undefined ? {} : { network }),
        ...(requestId === undefined ? {} : { requestId }),
        data: { oldExpiresAt: oldExpiresAt.toISOString() },
      },
      now,
    )
    return { secret, oldExpiresAt }
  })

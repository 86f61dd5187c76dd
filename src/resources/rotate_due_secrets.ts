import { lastDue, parseCron } from '#/lib/cron.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { listCredentialAges } from '#/model/client_credentials.ts'
import { rotateClientSecret } from './client_secrets.ts'
import type { Snapshot } from './snapshot.ts'

export interface RotationDeps {
  db: Db
  rootSecret: Secret
  snapshot: Pick<Snapshot, 'client'>
}

/** Replaces each secret whose policy was due for it since it was made; answers how many. What is interrupted goes on the next time. */
export const rotateDueSecrets = async ({ db, rootSecret, snapshot }: RotationDeps, now: Date, signal?: AbortSignal): Promise<number> => {
  let rotated = 0
  for (const { namespace, name, created_at } of await listCredentialAges(db)) {
    if (signal?.aborted) break
    const rotation = snapshot.client(namespace, name)?.policy.secretRotation
    if (!rotation?.enabled) continue
    const isDue = rotation.schedules.some((text) => {
      const schedule = parseCron(text)
      return schedule !== undefined && lastDue(schedule, now, created_at) !== undefined
    })
    if (!isDue) continue
    await rotateClientSecret({ db, rootSecret }, namespace, name, { actor: 'rotate_client_secrets', overlap: rotation.overlap }, now)
    rotated++
  }
  return rotated
}

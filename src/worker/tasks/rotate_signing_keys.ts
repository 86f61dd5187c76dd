import { rotateSigningKeys } from '#/oidc/rotate_signing_keys.ts'
import type { Task } from '../task.ts'

/** Makes the signing keys that are due, and retires those that were followed, for every AuthServer. */
export const rotate_signing_keys: Task = async ({ db, log, clock, rootSecret, snapshot }) => {
  const opened = await snapshot()
  // A worker acts on what stands in the database now.
  await opened.refresh()
  const changed = await rotateSigningKeys({ db, log, rootSecret, snapshot: opened }, clock())
  return { changed: changed.length }
}

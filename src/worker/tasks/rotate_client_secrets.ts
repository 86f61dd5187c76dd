import { rotateDueSecrets } from '#/resources/rotate_due_secrets.ts'
import type { Task } from '../task.ts'

/** Replaces the secrets of clients whose policy has a schedule for it, as their time comes. */
export const rotate_client_secrets: Task = async ({ db, clock, rootSecret, snapshot }, _payload, signal) => {
  const opened = await snapshot()
  await opened.refresh()
  return { rotated: await rotateDueSecrets({ db, rootSecret, snapshot: opened }, clock(), signal) }
}

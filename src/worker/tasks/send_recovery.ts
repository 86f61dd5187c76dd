import { sendRecovery } from '#/identity/recovery.ts'
import type { Task } from '../task.ts'

/** Looks up who asked for a way back into their account, and queues the mail to them if they are anyone. */
export const send_recovery: Task = async ({ db, clock, settings, rootSecret }, payload) => ({
  queued: Number(await sendRecovery({ db, settings, rootSecret }, payload, clock())),
})

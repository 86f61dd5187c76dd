import { expireKeyPairs } from '#/resources/expire_key_pairs.ts'
import type { Task } from '../task.ts'

/** KeyPairs whose certificate is over say so. */
export const expire_key_pairs: Task = async ({ db, clock, rootSecret }) => ({ changed: await expireKeyPairs({ db, rootSecret }, clock()) })

import type { Task } from '../task.ts'
import { create_event_partitions } from './create_event_partitions.ts'
import { end_client_grants } from './end_client_grants.ts'
import { expire_key_pairs } from './expire_key_pairs.ts'
import { purge_expired } from './purge_expired.ts'
import { rotate_client_secrets } from './rotate_client_secrets.ts'
import { rotate_signing_keys } from './rotate_signing_keys.ts'
import { send_email } from './send_email.ts'
import { send_recovery } from './send_recovery.ts'

/** Every task there is: file, export and name in the queue are spelled the same. */
export const tasks = {
  create_event_partitions,
  end_client_grants,
  expire_key_pairs,
  purge_expired,
  rotate_client_secrets,
  rotate_signing_keys,
  send_email,
  send_recovery,
} satisfies Record<string, Task>

import type { tasks } from './tasks/index.ts'

/** When each task is due, in cron's words and UTC. What was missed while no worker ran is done once at the next start, if it is not older than `fill`. */
export const schedule = [
  { task: 'purge_expired', match: '*/5 * * * *', fill: '1h' },
  { task: 'rotate_signing_keys', match: '7 * * * *', fill: '1d' },
  { task: 'rotate_client_secrets', match: '* * * * *', fill: '1h' },
  { task: 'expire_key_pairs', match: '*/10 * * * *', fill: '1h' },
  { task: 'create_event_partitions', match: '12 3 * * *', fill: '2d' },
] as const satisfies { task: keyof typeof tasks; match: string; fill: string }[]

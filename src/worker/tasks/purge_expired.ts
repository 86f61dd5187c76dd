import { purgeDeadTasks } from '#/lib/queue.ts'
import type { Db } from '#/lib/sql.ts'
import { purgeAccessTokens } from '#/model/access_tokens.ts'
import { purgeApiTokens } from '#/model/api_tokens.ts'
import { purgeAuthorizationCodes } from '#/model/authorization_codes.ts'
import { purgeCredentials } from '#/model/client_credentials.ts'
import { purgeDeviceCodes } from '#/model/device_codes.ts'
import { purgeEmailChanges } from '#/model/email_changes.ts'
import { purgeEmailCodes } from '#/model/email_codes.ts'
import { purgeFailedSignIns } from '#/model/failed_sign_ins.ts'
import { purgeFlowAttempts } from '#/model/flow_attempts.ts'
import { purgeGrants } from '#/model/grants.ts'
import { purgeInvitations } from '#/model/invitations.ts'
import { purgeKnownDevices } from '#/model/known_devices.ts'
import { purgeMailedLinks } from '#/model/mailed_links.ts'
import { purgeReputations } from '#/model/network_reputations.ts'
import { purgeInteractions } from '#/model/oidc_interactions.ts'
import { purgeReplays } from '#/model/oidc_replays.ts'
import { purgeEndings } from '#/model/outpost_endings.ts'
import { purgeOutpostInstances } from '#/model/outpost_instances.ts'
import { purgePushedRequests } from '#/model/pushed_authorization_requests.ts'
import { purgeRefreshTokens } from '#/model/refresh_tokens.ts'
import { purgeRegisteredClients } from '#/model/registered_clients.ts'
import { purgeRememberedDevices } from '#/model/remembered_devices.ts'
import { purgeRevokedTokens } from '#/model/revoked_tokens.ts'
import { purgeSessions } from '#/model/sessions.ts'
import { purgeSigningKeys } from '#/model/signing_keys.ts'
import { endingsKeptMs } from '#/outpost/session.ts'
import { lockOutSince } from '#/policy/lock_out.ts'
import { forgottenSince } from '#/policy/reputation.ts'
import type { Task } from '../task.ts'

/** Rows of one statement: short locks, small transactions, vacuum keeps up. */
const batch = 1_000
/** Rows of one table in one run; the next run goes on. */
const most = 200_000

const daysBefore = (now: Date, days: number): Date => new Date(now.getTime() - days * 24 * 3_600_000)
/** A dead letter may be looked at and tried again for as long. */
const keepDeadTasksMs = 30 * 86_400_000

type Purge = (db: Db, now: Date, batch: number) => Promise<number>

/** Every table with rows that expire. What others refer to goes last. */
const purges: Record<string, Purge> = {
  oidc_replays: purgeReplays,
  oidc_interactions: purgeInteractions,
  pushed_authorization_requests: purgePushedRequests,
  device_codes: purgeDeviceCodes,
  authorization_codes: purgeAuthorizationCodes,
  access_tokens: purgeAccessTokens,
  refresh_tokens: purgeRefreshTokens,
  revoked_tokens: purgeRevokedTokens,
  registered_clients: (db, now, rows) =>
    purgeRegisteredClients(db, { neverSince: daysBefore(now, 7), notSince: daysBefore(now, 180) }, rows),
  grants: purgeGrants,
  mailed_links: purgeMailedLinks,
  flow_attempts: (db, now, rows) => purgeFlowAttempts(db, rows, now),
  email_codes: purgeEmailCodes,
  email_changes: purgeEmailChanges,
  failed_sign_ins: (db, now, rows) => purgeFailedSignIns(db, rows, lockOutSince(now)),
  network_reputations: (db, now, rows) => purgeReputations(db, forgottenSince(now), rows),
  known_devices: (db, now, rows) => purgeKnownDevices(db, daysBefore(now, 180), rows),
  remembered_devices: purgeRememberedDevices,
  outpost_endings: (db, now, rows) => purgeEndings(db, new Date(now.getTime() - endingsKeptMs), rows),
  outpost_instances: (db, now, rows) => purgeOutpostInstances(db, daysBefore(now, 7), rows),
  sessions: purgeSessions,
  api_tokens: purgeApiTokens,
  invitations: purgeInvitations,
  client_credentials: purgeCredentials,
  signing_keys: purgeSigningKeys,
  dead_tasks: (db, now, rows) => purgeDeadTasks(db, new Date(now.getTime() - keepDeadTasksMs), rows),
}

/** Removes what has expired, in small batches, and answers how many rows of which table. */
export const purge_expired: Task = async ({ db, clock }, _payload, signal) => {
  const removed: Record<string, number> = {}
  for (const [table, purge] of Object.entries(purges)) {
    let total = 0
    while (total < most && !signal.aborted) {
      const count = await purge(db, clock(), batch)
      total += count
      if (count < batch) break
    }
    if (total) removed[table] = total
  }
  return removed
}

/**
 * Back-channel logout (OpenID Connect Back-Channel Logout 1.0). Whoever ends a session, by whatever way, leaves notices in a table in the same
 * transaction; here they are delivered, by any server, once each, and again later when a client does not answer.
 */
import type { Client, Provider } from 'oidc-provider'
import type { Clock } from '#/lib/clock.ts'
import { randomToken } from '#/lib/crypto.ts'
import type { Log } from '#/lib/log.ts'
import type { Outbound } from '#/lib/outbound.ts'
import type { Database } from '#/lib/sql.ts'
import {
  type BackchannelLogout,
  deleteBackchannelLogout,
  postponeBackchannelLogout,
  takeBackchannelLogouts,
} from '#/model/backchannel_logouts.ts'

export interface LogoutDeps {
  db: Database
  log: Log
  clock: Clock
  outbound: Outbound
  /** Undefined for an issuer that is no longer there. */
  providerOf: (issuer: string) => Promise<Provider | undefined>
}

const batch = 20
const whileTakenMs = 60_000
/** After the first try, seconds. Then it is given up: a client that slept this long asks anew anyway. */
const retrySeconds = [5, 30, 300, 3_600, 21_600]
const pollMs = 5_000

export const openLogouts = async (deps: LogoutDeps) => {
  let closed = false
  let running: Promise<void> | undefined
  let again = false

  const deliverDue = async (): Promise<void> => {
    for (;;) {
      again = false
      const now = deps.clock()
      const notices = await takeBackchannelLogouts(deps.db, { retry_at: new Date(now.getTime() + whileTakenMs), batch }, now)
      await Promise.all(notices.map((notice) => deliver(deps, notice)))
      if (notices.length < batch && !again) return
    }
  }

  const wake = (): void => {
    if (closed) return
    again = true
    running ??= deliverDue()
      .catch((error: Error) => deps.log.warn({ event: 'oidc.logout.failed', error: error.message }, 'logout notices could not be read'))
      .finally(() => {
        running = undefined
      })
  }

  await deps.db.listen('backchannel_logouts', wake)
  const poll = setInterval(wake, pollMs)
  poll.unref()
  wake()
  return {
    close: async () => {
      closed = true
      clearInterval(poll)
      await running
    },
  }
}

const deliver = async (deps: LogoutDeps, notice: BackchannelLogout): Promise<void> => {
  try {
    const provider = await deps.providerOf(notice.issuer)
    const client = await provider?.Client.find(notice.client_id)
    if (provider && client?.backchannelLogoutUri) await send(deps, provider, client, notice)
    await deleteBackchannelLogout(deps.db, notice.backchannel_logout_id)
  } catch (error) {
    const wait = retrySeconds[notice.attempts - 1]
    deps.log.warn(
      {
        event: 'oidc.logout.undelivered',
        client_id: notice.client_id,
        attempts: notice.attempts,
        isLast: wait === undefined,
        error: (error as Error).message,
      },
      'a client could not be told of a logout',
    )
    if (wait === undefined) await deleteBackchannelLogout(deps.db, notice.backchannel_logout_id)
    else await postponeBackchannelLogout(deps.db, notice.backchannel_logout_id, new Date(deps.clock().getTime() + wait * 1000))
  }
}

const event = 'http://schemas.openid.net/event/backchannel-logout'

const send = async ({ outbound }: LogoutDeps, provider: Provider, client: Client, notice: BackchannelLogout): Promise<void> => {
  const token = new provider.IdToken({ sub: notice.user_id }, { client })
  // The library's own way to say which claims go in, left out of its types.
  Object.assign(token, { mask: { sub: null } })
  token.set('events', { [event]: {} })
  token.set('jti', randomToken(16))
  if (client.backchannelLogoutSessionRequired) token.set('sid', notice.sid)
  const response = await outbound.fetch(String(client.backchannelLogoutUri), {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ logout_token: await token.issue({ use: 'logout' }) }).toString(),
  })
  await response.body?.cancel()
  if (response.status !== 200 && response.status !== 204) throw new Error(`answered ${response.status}`)
}

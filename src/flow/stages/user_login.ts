import { noticeDevice } from '#/identity/notices.ts'
import { rememberDevice } from '#/identity/remembered_devices.ts'
import { createSession, endSession, findSession } from '#/identity/sessions.ts'
import type { StageSettings } from '#/kinds/flow_stages.ts'
import { parseDuration } from '#/lib/clock.ts'
import { type Acr, acrOf, withMfa } from '#/policy/acr.ts'
import { changeBy } from '../change_by.ts'
import type { Facts, FlowDeps, Stage, StageInput } from '../stage.ts'

/**
 * Makes the session. Asks nothing; a person whom no earlier stage has found is refused. A session that the browser had ends when it was
 * someone else's; one of the same person goes on under a new token, so that what hangs on it stays.
 */
export const user_login: Stage = {
  challenge: async (deps, input) => {
    const { facts, settings, request, now } = input
    const { user_id, username, factors, factor_spared: factorSpared, password_version: passwordVersion, auth_time } = facts
    if (!user_id || !username) return { kind: 'denied', reason: 'access_denied' }
    const { authServer, network, requestId, userAgent } = request
    const found = request.session ? await findSession(deps.db, request.session, now, request.network) : undefined
    // The cookie of an issuer at `/` reaches those below it too, where it is not theirs to end or to take over.
    const before = found?.issuer === authServer.issuerUrl ? found : undefined
    const isSamePerson = before?.user.id === user_id
    if (before && !isSamePerson) await endSession(deps.db, before.uid, { actor: username, network, requestId }, now)
    const { amr, acr } = worthOf(facts)
    // Checked by the kind.
    const { sessionTTL, networkBinding } = settings as Partial<StageSettings<'user_login'>>
    const ttl = sessionTTL === undefined ? undefined : Math.floor((parseDuration(sessionTTL) ?? 0) / 1_000)
    const renews = isSamePerson ? before.uid : undefined
    const session = await createSession(
      deps.db,
      {
        user_id,
        username,
        amr,
        acr,
        factors,
        factorSpared,
        issuer: authServer.issuerUrl,
        userAgent,
        network,
        requestId,
        ttl,
        renews,
        auth_time,
        isBound: networkBinding === 'network',
        passwordVersion,
      },
      now,
    )
    const { token, expiresAt } = session
    const device = await remembered(deps, input)
    // One that goes on is where it was.
    if (facts.from_session === undefined) await noticeDevice(deps.db, user_id, changeBy(username, deps, request), now)
    return {
      kind: 'passed',
      facts: { amr, acr, session_uid: session.uid },
      session: { kind: 'began', token, expiresAt, ...(device ? { device } : {}) },
    }
  },
  foresee: async (_, { facts }) =>
    facts.user_id && facts.username ? { kind: 'passed', facts: worthOf(facts) } : { kind: 'denied', reason: 'access_denied' },
}

const worthOf = ({ amr: proven = [] }: Facts): { amr: string[]; acr: Acr } => {
  const amr = withMfa(proven)
  return { amr, acr: acrOf(amr) }
}

/** Undefined unless the person has asked for it, where it may be. */
const remembered = async ({ db }: FlowDeps, { facts, context, request, now }: StageInput) => {
  const { user_id, username, remember_device: factor } = facts
  const { remember_device: ttl } = context
  if (user_id === undefined || username === undefined || factor === undefined || ttl === undefined) return undefined
  const { authServer, network, requestId, userAgent } = request
  const change = { actor: username, network, requestId }
  return rememberDevice(db, { user_id, username, issuer: authServer.issuerUrl, factor, userAgent, ttl }, change, now)
}

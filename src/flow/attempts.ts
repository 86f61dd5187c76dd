/**
 * How a protocol has a person go through a flow, knowing nothing of stages: it begins an attempt that is to come back to `next`, sends
 * the browser to `location`, and when the browser returns asks for the outcome under its own reference.
 */
import type { SessionOfPerson } from '#/identity/sessions.ts'
import { withoutControlCharacters } from '#/lib/control_characters.ts'
import { readCookie, writeCookie } from '#/lib/cookie.ts'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import { ownPath } from '#/lib/own_path.ts'
import { Problem } from '#/lib/problem.ts'
import { type FlowAttempt, findFlowAttemptByReference, insertFlowAttempt } from '#/model/flow_attempts.ts'
import { findFlow } from './flows.ts'
import type { Context, Facts, FlowDeps } from './stage.ts'
import { openAttemptStates } from './state.ts'

/** Binds attempts to a browser: one value for all its tabs. */
export const browserCookie = 'signet_flow'

export interface NewAttempt {
  /** Name of the flow, such as `authentication` or `authorization`. */
  flow: string
  /** Where the browser goes at the end: a path as it stands in the address bar, so with the AuthServer's prefix. Anything else becomes its root. */
  next: string
  /** The beginner's own name of it (an interaction's uid), by which `findOutcome` finds it. Without one there is nobody to deny to. */
  reference?: string
  context: Context
  /** Of the link that led here. Kept sealed. */
  token?: string | undefined
  /** Who it is begun for, where that is known already. */
  facts?: Facts
  authServer: AuthServerRef
  /** The request's Cookie header. */
  cookies: string | undefined
  /** Where it is begun, for administrators. */
  from?: { network: string; userAgent: string | undefined }
}

/** Facts of someone who is signed in and lacks only a factor: asked for that alone, on that very session. */
export const stepUp = ({ user, amr, factors, factorSpared, auth_time, uid }: SessionOfPerson): Facts => ({
  user_id: user.id,
  username: user.username,
  amr,
  factors,
  factor_spared: factorSpared,
  auth_time,
  from_session: uid,
})

export interface BegunAttempt {
  attempt: string
  /** Value of the cookie that binds it. */
  browser: string
  /** Path to redirect to, with the AuthServer's prefix. */
  location: string
  /** Value for a Set-Cookie header, when this browser had none yet. */
  setCookie: string | undefined
  row: FlowAttempt
}

export type FoundOutcome =
  | { state: 'passed'; facts: Facts }
  /** `access_denied` when the person declined. */
  | { state: 'denied'; reason: string }
  /** Not over yet. Begin another: it is not known any more under which id this one goes on. */
  | { state: 'running' }

type AttemptDeps = Pick<FlowDeps, 'db' | 'snapshot' | 'rootSecret'>

/** Throws not_found for a flow that there is not. */
export const beginAttempt = async (deps: AttemptDeps, begun: NewAttempt, now: Date): Promise<BegunAttempt> => {
  const { authServer, facts = {} } = begun
  const flow = findFlow(deps.snapshot, authServer, begun.flow)
  if (!flow) throw new Problem('not_found', { detail: 'there is no such flow' })
  const attempt = randomToken()
  const attempt_hash = sha256(attempt)
  const known = readCookie(begun.cookies, browserCookie)
  const browser = known ?? randomToken()
  const context = storable(begun.context)
  const states = openAttemptStates(deps.rootSecret)
  const sealed_state = states.seal(begun.token === undefined ? {} : { carried: { token: begun.token } }, attempt_hash)
  const signed = {
    attempt_hash,
    flow_name: flow.name,
    reference: begun.reference ?? null,
    next: ownPath(begun.next, authServer.pathPrefix),
    state: 'running',
    stage_index: 0,
    context,
    facts,
    sealed_state,
  } as const
  const signature = states.sign({ ...signed, revision: flow.revision })
  const row: FlowAttempt = { ...signed, reason: null, version: 0, signature }
  const expires_at = new Date(now.getTime() + flow.attemptTtlMs)
  await insertFlowAttempt(
    deps.db,
    { ...row, browser_hash: sha256(browser), issuer: authServer.issuerUrl, ...originOf(begun), expires_at },
    now,
  )
  return {
    attempt,
    browser,
    location: attemptLocation(authServer, flow.name, attempt),
    setCookie: known ? undefined : writeCookie(browserCookie, browser, authServer),
    row,
  }
}

const userAgentLength = 400

const originOf = ({ from }: NewAttempt) => ({
  network: from?.network ?? null,
  user_agent: from?.userAgent === undefined ? null : withoutControlCharacters(from.userAgent).slice(0, userAgentLength).toWellFormed(),
})

export const attemptLocation = ({ pathPrefix }: AuthServerRef, flow: string, attempt: string): string =>
  `${pathPrefix}/flow/${flow}?attempt=${attempt}`

/** Undefined when there is none in this very browser, or it has expired. */
export const findOutcome = async (
  deps: Pick<FlowDeps, 'db' | 'rootSecret'>,
  by: { flow: string; reference: string; authServer: AuthServerRef; cookies: string | undefined },
  now: Date,
): Promise<FoundOutcome | undefined> => {
  const browser = readCookie(by.cookies, browserCookie)
  if (!browser) return undefined
  const { issuerUrl } = by.authServer
  const found = await findFlowAttemptByReference(
    deps.db,
    { reference: by.reference, flow_name: by.flow, browser_hash: sha256(browser), issuer: issuerUrl },
    now,
  )
  if (found?.state === 'running') return { state: 'running' }
  if (!found || !openAttemptStates(deps.rootSecret).isOurs({ ...found, revision: '' })) return undefined
  // Facts are written by the executor alone, and signed.
  return found.state === 'passed'
    ? { state: 'passed', facts: found.facts as Facts }
    : { state: 'denied', reason: found.reason ?? 'access_denied' }
}

const textLimit = 2_000

/** Texts of a client or a request, as PostgreSQL can keep them: no control characters, not endless. */
const storable = (context: Context): Context =>
  JSON.parse(
    JSON.stringify(context, (_, value: unknown) =>
      typeof value === 'string' ? withoutControlCharacters(value).slice(0, textLimit).toWellFormed() : value,
    ),
  )

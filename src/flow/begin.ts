/** How a person begins a flow by its address, in either front. */
import { findSession } from '#/identity/sessions.ts'
import { type BegunAttempt, beginAttempt } from './attempts.ts'
import { isForSignedIn } from './executor.ts'
import type { Flow } from './flows.ts'
import { type Query, single } from './read_request.ts'
import type { Context, Facts, FlowDeps, FlowRequest } from './stage.ts'

/** Who changes what they sign in with has signed in lately: a session that someone left open is not enough. */
const freshMs = 15 * 60_000

export type Beginning = { kind: 'begun'; begun: BegunAttempt } | { kind: 'sign_in_first' }

export const beginByAddress = async (
  deps: FlowDeps,
  { flow, query, request, cookies }: { flow: Flow; query: Query; request: FlowRequest; cookies: string | undefined },
  now: Date,
): Promise<Beginning> => {
  const { authServer, session: token } = request
  const found = token === undefined ? undefined : await findSession(deps.db, token, now)
  const session = found?.issuer === authServer.issuerUrl ? found : undefined
  let facts: Facts = {}
  if (isForSignedIn(flow)) {
    if (!session || now.getTime() - session.auth_time * 1_000 > freshMs) return { kind: 'sign_in_first' }
    facts = { user_id: session.user.id, username: session.user.username }
  }
  const context: Context = session && flow.designation === 'authentication' ? { login_hint: session.user.username } : {}
  const next = single(query, 'next') ?? (flow.designation === 'stage_configuration' ? `${authServer.pathPrefix}/account/factors` : '')
  const link = single(query, 'token') ?? single(query, 'invitation')
  const begun = await beginAttempt(deps, { flow: flow.name, next, context, facts, token: link?.slice(0, 200), authServer, cookies }, now)
  return { kind: 'begun', begun }
}

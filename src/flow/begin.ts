/** How a person begins a flow by its address, in either front. */
import { findSession, isFresh, type SessionOfPerson } from '#/identity/sessions.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import { acrValues } from '#/policy/acr.ts'
import { type BegunAttempt, beginAttempt } from './attempts.ts'
import { type Flow, isForSignedIn, rememberSeconds } from './flows.ts'
import { type Query, single } from './read_request.ts'
import type { Context, Facts, FlowDeps, FlowRequest } from './stage.ts'

export type Beginning = { kind: 'begun'; begun: BegunAttempt } | { kind: 'sign_in_first' }

export const beginByAddress = async (
  deps: FlowDeps,
  { flow, query, request, cookies }: { flow: Flow; query: Query; request: FlowRequest; cookies: string | undefined },
  now: Date,
): Promise<Beginning> => {
  const { authServer, session: token, network } = request
  const found = token === undefined ? undefined : await findSession(deps.db, token, now, network)
  const session = found?.issuer === authServer.issuerUrl ? found : undefined
  let facts: Facts = {}
  if (isForSignedIn(flow)) {
    if (!session || !isFresh(session, now)) return { kind: 'sign_in_first' }
    facts = { user_id: session.user.id, username: session.user.username }
  }
  const context: Context = flow.designation === 'authentication' ? contextOf(deps, { flow, query, authServer }, session) : {}
  const next = single(query, 'next') ?? (flow.designation === 'stage_configuration' ? `${authServer.pathPrefix}/account/factors` : '')
  const link = single(query, 'token') ?? single(query, 'invitation')
  const begun = await beginAttempt(
    deps,
    { flow: flow.name, next, context, facts, token: link?.slice(0, 200), authServer, cookies, from: request },
    now,
  )
  return { kind: 'begun', begun }
}

/** What a sign-in that no client has begun is about: who was here, and what its address wants it to be worth. */
const contextOf = (
  { snapshot }: FlowDeps,
  { flow, query, authServer }: { flow: Flow; query: Query; authServer: AuthServerRef },
  session: SessionOfPerson | undefined,
): Context => {
  const wanted = single(query, 'acr_values')?.split(' ') ?? []
  const acr_values = acrValues.filter((acr) => wanted.includes(acr))
  const remember = rememberSeconds(flow, snapshot.findAuthServer(authServer.namespace, authServer.name)?.policy.rememberDevice)
  return {
    ...(session ? { login_hint: session.user.username } : {}),
    ...(acr_values.length ? { acr_values } : {}),
    ...(remember === undefined ? {} : { remember_device: remember }),
  }
}

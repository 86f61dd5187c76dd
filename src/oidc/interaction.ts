/**
 * Where an authorization request and the person meet. The request waits here (`/oauth2/interaction/{uid}`) while a flow asks the person to
 * sign in or to agree; the flow knows nothing of OpenID and comes back to this address, and what it found out is taken over.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Client, Interaction, InteractionResults, Provider } from 'oidc-provider'
import { recordEvent } from '#/events/record.ts'
import { beginAttempt, findOutcome, stepUp } from '#/flow/attempts.ts'
import { findFlow, flowFor, rememberSeconds } from '#/flow/flows.ts'
import type { Context, Facts } from '#/flow/stage.ts'
import { readSessionCookie } from '#/identity/session_cookie.ts'
import { findSession, type SessionOfPerson } from '#/identity/sessions.ts'
import type { FactorType } from '#/kinds/flow_stages.ts'
import { readCookie } from '#/lib/cookie.ts'
import { getCaller } from '#/lib/http.ts'
import { hasProven, meetsAcr } from '#/policy/acr.ts'
import { factsOf } from './clients.ts'
import { grantConsent } from './consent.ts'
import type { ProviderDeps } from './deps.ts'
import { shownClient } from './pages.ts'

const path = '/oauth2/interaction/'

export const interactionPath = (pathPrefix: string, uid: string): string => `${pathPrefix}${path}${uid}`

/** The uid that a request's url names; undefined for any other url. */
export const interactionUid = (url: string): string | undefined => {
  if (!url.startsWith(path)) return undefined
  const end = url.indexOf('?')
  const uid = url.slice(path.length, end < 0 ? undefined : end)
  return /^[\w-]{20,64}$/.test(uid) ? uid : undefined
}

export class InteractionLost extends Error {}

/** Sends the browser on: to a flow, or back into the request. Throws InteractionLost when the request is over or another browser's. */
export const handleInteraction = async (
  deps: ProviderDeps,
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  uid: string,
): Promise<void> => {
  const { cookie } = request.headers
  if (readCookie(cookie, provider.cookieName('interaction')) !== uid) throw new InteractionLost()
  const interaction = await provider.Interaction.find(uid)
  if (!interaction) throw new InteractionLost()
  const token = readSessionCookie(cookie)
  const session = token === undefined ? undefined : await findSession(deps.db, token, deps.clock(), getCaller(request).network)
  const own = session?.issuer === deps.issuer ? session : undefined
  const client = await provider.Client.find(String(interaction.params.client_id))
  if (!client) throw new InteractionLost()
  const visit: Visit = { deps, provider, interaction, session: own, client, request }
  const step = interaction.prompt.name === 'consent' ? await consent(visit) : await login(visit)
  if (step.kind === 'ask') {
    if (step.setCookie !== undefined) response.appendHeader('set-cookie', step.setCookie)
    redirect(response, step.location)
    return
  }
  interaction.result = 'error' in step.result ? step.result : { ...interaction.lastSubmission, ...step.result }
  if (own && step.kind === 'answer') interaction.session = { accountId: own.user.id, uid: own.uid, cookie: '', acr: own.acr, amr: own.amr }
  await interaction.persist()
  redirect(response, interaction.returnTo)
}

interface Visit {
  deps: ProviderDeps
  provider: Provider
  interaction: Interaction
  session: SessionOfPerson | undefined
  client: Client
  request: IncomingMessage
}

type Step = { kind: 'ask'; location: string; setCookie: string | undefined } | { kind: 'answer'; result: InteractionResults }

const redirect = (response: ServerResponse, location: string): void => {
  response.writeHead(303, { location, 'content-length': 0, 'cache-control': 'no-store' })
  response.end()
}

const denied = (reason: string): Step =>
  reason === 'factor_missing'
    ? unmet('the person has none of the second factors that are asked for')
    : { kind: 'answer', result: { error: 'access_denied', error_description: 'the person declined' } }

/** OpenID Connect Core Error Code unmet_authentication_requirements 1.0. */
const unmet = (error_description: string): Step => ({
  kind: 'answer',
  result: { error: 'unmet_authentication_requirements', error_description },
})

const list = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [])

const stepUpReasons = ['acr_values', 'essential_acr', 'required_factors']

const login = async (visit: Visit): Promise<Step> => {
  const { interaction, session } = visit
  const flow = flowOf(visit, 'authentication')
  const outcome = await outcomeOf(visit, flow)
  if (outcome?.state === 'denied') return denied(outcome.reason)
  const hasPassed = outcome?.state === 'passed' && session !== undefined && outcome.facts.user_id === session.user.id
  // Signed in elsewhere in the meantime, in another window.
  const isEnough =
    session !== undefined && interaction.prompt.name === 'login' && interaction.prompt.reasons.every((reason) => reason === 'no_session')
  const { essential_acrs, required_factors } = interaction.prompt.details
  if (session && hasPassed && Array.isArray(essential_acrs) && !meetsAcr(session.acr, essential_acrs))
    return unmet('the sign-in did not reach the acr')
  if (session && hasPassed && Array.isArray(required_factors) && !hasProven(required_factors, session.factors))
    return unmet('none of the second factors that are asked for was proven')
  if (session && (hasPassed || isEnough))
    return {
      kind: 'answer',
      result: {
        login: { accountId: session.user.id, acr: session.acr, amr: session.amr, ts: session.auth_time },
        ...(interaction.prompt.name === 'select_account' && { select_account: {} }),
      },
    }
  // Asked once more, it would end the same.
  if (outcome?.state === 'passed' && outcome.facts.session_uid === undefined) return await broken(visit, flow, 'it signs nobody in')
  const { login_hint } = interaction.params
  const acr_values = list(interaction.prompt.details.acr_values)
  // Whoever is signed in and lacks only a factor is asked for that alone.
  const isStepUp = session !== undefined && interaction.prompt.reasons.every((reason) => stepUpReasons.includes(reason))
  return await ask(
    visit,
    flow,
    {
      ...(typeof login_hint === 'string' && { login_hint: login_hint.slice(0, 200) }),
      ...(acr_values.length && { acr_values }),
      ...rememberDevice(visit, flow),
      // Of the policy, so of our own words.
      ...(Array.isArray(required_factors) && { required_factors: list(required_factors) as FactorType[] }),
    },
    isStepUp ? stepUp(session) : {},
  )
}

const rememberDevice = ({ deps, client, request }: Visit, name: string): Pick<Context, 'remember_device'> => {
  const flow = findFlow(deps.snapshot, getCaller(request).authServer, name)
  const seconds = flow && rememberSeconds(flow, factsOf(client).policy.rememberDevice)
  return seconds === undefined ? {} : { remember_device: seconds }
}

const flowOf = ({ deps, client, request }: Visit, designation: 'authentication' | 'authorization') =>
  flowFor(deps.snapshot, getCaller(request).authServer, designation, client.clientId)

const consent = async (visit: Visit): Promise<Step> => {
  const { deps, provider, interaction, session, client } = visit
  // Gone while the page was open.
  if (!session || session.user.id !== interaction.session?.accountId) throw new InteractionLost()
  const flow = flowOf(visit, 'authorization')
  const outcome = await outcomeOf(visit, flow)
  if (outcome?.state === 'denied') return denied(outcome.reason)
  if (outcome?.state === 'passed' && outcome.facts.consent && outcome.facts.user_id === session.user.id) {
    const grantId = await grantConsent(deps, provider, {
      grantId: interaction.grantId,
      sessionUid: session.uid,
      accountId: session.user.id,
      clientId: client.clientId,
      agreed: outcome.facts.consent,
    })
    return { kind: 'answer', result: { consent: { grantId } } }
  }
  const { details } = interaction.prompt
  const missing = list(details.missingOIDCScope)
  const scopes = missing.length
    ? missing
    : String(interaction.params.scope ?? '')
        .split(' ')
        .filter(Boolean)
  const resources = Object.fromEntries(
    Object.entries(details.missingResourceScopes ?? {}).map(([resource, wanted]) => [resource, list(wanted)]),
  )
  return await ask(visit, flow, {
    user: { user_id: session.user.id, name: session.user.name ?? session.user.username },
    scopes,
    claims: list(details.missingOIDCClaims),
    resources,
  })
}

const outcomeOf = ({ deps, interaction, request }: Visit, flow: string) =>
  findOutcome(
    deps,
    { flow, reference: interaction.uid, authServer: getCaller(request).authServer, cookies: request.headers.cookie },
    deps.clock(),
  )

/** The client is told that it is not the person's fault, and an operator which flow it is. */
const broken = async ({ deps, request }: Visit, flow: string, reason: string): Promise<Step> => {
  const target = { kind: 'Flow', name: flow }
  const { requestId } = getCaller(request)
  await recordEvent(
    deps.db,
    { action: 'configuration.error', severity: 'error', actor: 'flow', target, requestId, data: { flow, reason } },
    deps.clock(),
  )
  return { kind: 'answer', result: { error: 'server_error', error_description: 'signing in is not set up well here' } }
}

const ask = async (visit: Visit, flow: string, context: Context, facts: Facts = {}): Promise<Step> => {
  const { deps, interaction, client, request } = visit
  const { authServer, network } = getCaller(request)
  if (!findFlow(deps.snapshot, authServer, flow)) return await broken(visit, flow, 'there is no such flow')
  const { ui_locales } = interaction.params
  const begun = await beginAttempt(
    deps,
    {
      flow,
      next: interactionPath(authServer.pathPrefix, interaction.uid),
      reference: interaction.uid,
      facts,
      context: {
        ...context,
        client: { client_id: client.clientId, ...shownClient(client) },
        ...(typeof ui_locales === 'string' && { ui_locales: ui_locales.slice(0, 200).split(' ') }),
      },
      authServer,
      cookies: request.headers.cookie,
      from: { network, userAgent: request.headers['user-agent'] },
    },
    deps.clock(),
  )
  return { kind: 'ask', location: begun.location, setCookie: begun.setCookie }
}

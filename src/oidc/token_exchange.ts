/**
 * Token exchange (RFC 8693): a service that was called with a person's access token gets one for what it calls in turn. Never more scopes, never a
 * longer life; the new one ends when the one it was made from does.
 */
import { type Client, errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider'
import { checkDpopReplay, validateDpop } from 'oidc-provider/lib/helpers/grants.js'
import { randomToken } from '#/lib/crypto.ts'
import { findHolder, storeGrant } from '#/model/grants.ts'
import { factsOf } from './clients.ts'
import type { ProviderDeps } from './deps.ts'
import { dateOf } from './stores/store.ts'

export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

const parameters = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
] as const

type Parameters = Partial<Record<(typeof parameters)[number], string>>

export const offerTokenExchange = (provider: Provider, deps: ProviderDeps): void => {
  provider.registerGrantType(tokenExchangeGrant, (context) => exchange(provider, deps, context), parameters)
}

const invalid = (description: string): never => {
  throw new errors.InvalidRequest(description)
}

const exchange = async (provider: Provider, deps: ProviderDeps, context: TokenEndpointGrantContext): Promise<void> => {
  const { client } = context.oidc
  // The endpoint lets only these through, each at most once.
  const given = context.oidc.params as Parameters
  const { subject_token = invalid("missing required parameter 'subject_token'") } = given
  if (given.subject_token_type !== accessTokenType && given.subject_token_type !== jwtType) invalid('subject_token_type is not supported')
  if (given.requested_token_type !== undefined && given.requested_token_type !== accessTokenType && given.requested_token_type !== jwtType)
    invalid('requested_token_type is not supported')
  if (given.actor_token !== undefined || given.actor_token_type !== undefined) invalid('actor_token is not supported')
  const proof = await validateDpop(provider, context)
  if (!proof && client.dpopBoundAccessTokens) throw new errors.InvalidGrant('DPoP proof JWT not provided')
  const subject = await provider.AccessToken.find(subject_token)
  if (!subject?.accountId || !subject.grantId) throw new errors.InvalidRequest('subject_token is not valid')
  const audience = typeof subject.aud === 'string' ? subject.aud : undefined
  if (subject.clientId !== client.clientId && !(audience !== undefined && factsOf(client).ownResources.includes(audience)))
    throw new errors.InvalidRequest('subject_token was not issued to or for this client')
  const holder = await findHolder(deps.db, subject.accountId)
  if (!holder || !(await deps.access.mayHold(context, holder))) throw new errors.InvalidRequest('subject_token is not valid')
  if (subject.jkt && subject.jkt !== proof?.thumbprint) throw new errors.InvalidRequest('subject_token is bound to another key')
  if (proof) await checkDpopReplay(provider, context, proof, client.clientId, errors.InvalidGrant)

  const scope = scopeOf(given.scope, subject.scope, client)
  const aud = targetOf(given, client)
  const now = Math.floor(deps.clock().getTime() / 1000)
  const expiresIn = Math.min(factsOf(client).policy.accessTokenTTL, (subject.exp ?? 0) - now)
  if (expiresIn < 1) throw new errors.InvalidRequest('subject_token is not valid')
  const grantId = randomToken()
  await storeGrant(
    deps.db,
    {
      grant_id: grantId,
      user_id: subject.accountId,
      issuer: deps.issuer,
      client_id: client.clientId,
      parent_grant_id: subject.grantId,
      payload: {
        kind: 'Grant',
        accountId: subject.accountId,
        clientId: client.clientId,
        iat: now,
        ...(aud === undefined ? { openid: { scope } } : { resources: { [aud]: scope } }),
      },
      expires_at: dateOf(now + expiresIn + 1),
    },
    deps.clock(),
  )
  const token = new provider.AccessToken({
    accountId: subject.accountId,
    client,
    grantId,
    gty: 'token-exchange',
    scope,
    expiresIn,
  } as never)
  // Counted from the moment that was looked at above: the library would count from when it signs, which may be a second later.
  Object.assign(token, { exp: now + expiresIn })
  if (aud !== undefined) token.setAudience(aud)
  if (proof) token.setThumbprint('jkt', proof.thumbprint)
  context.oidc.entity('AccessToken', token)
  context.body = {
    access_token: await token.save(),
    issued_token_type: accessTokenType,
    token_type: token.tokenType,
    expires_in: expiresIn,
    ...(scope && { scope }),
  }
}

/** What is asked for, else all of the subject's, as far as this client goes. */
const scopeOf = (asked: string | undefined, subjectScope: string | undefined, client: Client): string => {
  const held = new Set((subjectScope ?? '').split(' ').filter((scope) => scope !== '' && scope !== 'offline_access'))
  const allowed = factsOf(client).scopes
  if (asked === undefined) return [...held].filter((scope) => allowed.includes(scope)).join(' ')
  const excess = asked.split(' ').filter((scope) => !held.has(scope) || !allowed.includes(scope))
  if (excess.length) throw new errors.InvalidScope('requested scope is not allowed', excess.join(' '))
  return asked
}

const targetOf = ({ resource, audience }: Parameters, client: Client): string | undefined => {
  const target = resource ?? audience
  if (target === undefined) return undefined
  if (resource !== undefined && audience !== undefined && resource !== audience) throw new errors.InvalidTarget()
  if (!factsOf(client).resources.includes(target)) throw new errors.InvalidTarget()
  return target
}

import { readSessionCookie } from '#/identity/session_cookie.ts'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import { getCaller } from '#/lib/http.ts'
import { keyOfNetwork } from '#/lib/network_key.ts'
import { storeCodeForSession } from '#/model/authorization_codes.ts'
import { factsOf } from '../clients.ts'
import { dateOf } from '../stores/store.ts'
import { isOrdinary } from './client.ts'
import { isSubset } from './client_credentials.ts'
import { hasOnly, type Quick, secondsNow } from './quick.ts'

const parameters = new Set([
  'client_id',
  'response_type',
  'redirect_uri',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
])
const challengePattern = /^[\w-]{43,128}$/

/** How stale a session's last use may be; then the long way notes it. */
const touchAfterMs = 60_000

/**
 * A plain code request with PKCE of someone who is signed in and has agreed to all of it before: one statement finds session,
 * person and grant, and stores the code. Whatever would show a page, or change the session, takes the long way.
 */
export const authorization: Quick = async (deps, { request, response, form }) => {
  if (!hasOnly(form, parameters) || form.get('response_type') !== 'code' || form.get('code_challenge_method') !== 'S256') return false
  const client_id = form.get('client_id')
  const redirect_uri = form.get('redirect_uri')
  const scope = form.get('scope')
  const code_challenge = form.get('code_challenge')
  if (client_id === undefined || redirect_uri === undefined || scope === undefined) return false
  if (code_challenge === undefined || !challengePattern.test(code_challenge)) return false
  const client = deps.ready(client_id)
  if (!client || deps.access.isGuarded(client_id) || !isOrdinary(client) || client.applicationType !== 'web') return false
  if (!client.responseTypes?.includes('code') || !client.redirectUris?.includes(redirect_uri) || client.responseModes) return false
  if (client.requirePushedAuthorizationRequests || client.requireSignedRequestObject) return false
  if (client.defaultMaxAge !== undefined || client.defaultAcrValues || client.requireAuthTime) return false
  const facts = factsOf(client)
  // Without prompt=consent the library leaves offline_access out, and tells so.
  const scopes = scope.split(' ')
  if (!isSubset(scope, facts.scopes) || !scopes.includes('openid') || scopes.includes('offline_access')) return false
  const token = readSessionCookie(request.headers.cookie)
  if (token === undefined) return false
  const now = deps.clock()
  const code = randomToken()
  const iat = secondsNow(deps.clock)
  const exp = iat + facts.policy.authorizationCodeTTL
  const isStored = await storeCodeForSession(
    deps.db,
    {
      code_hash: sha256(code),
      issuer: deps.issuer,
      client_id,
      token_hash: sha256(token),
      network_key: keyOfNetwork(getCaller(request).network),
      scopes,
      includeSid: Boolean(client.includeSid()),
      payload: {
        iat,
        exp,
        clientId: client_id,
        codeChallenge: code_challenge,
        codeChallengeMethod: 'S256',
        expiresWithSession: true,
        kind: 'AuthorizationCode',
        nonce: form.get('nonce'),
        redirectUri: redirect_uri,
        scope,
      },
      expires_at: dateOf(exp),
      usedSince: new Date(now.getTime() - touchAfterMs),
    },
    now,
  )
  if (!isStored) return false
  const target = new URL(redirect_uri)
  target.searchParams.set('code', code)
  const stateParameter = form.get('state')
  if (stateParameter !== undefined) target.searchParams.set('state', stateParameter)
  target.searchParams.set('iss', deps.issuer)
  response.writeHead(303, { location: target.href, 'cache-control': 'no-store', 'content-length': 0 })
  response.end()
  return true
}

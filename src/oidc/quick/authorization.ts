import { readSessionCookie } from '#/identity/session_cookie.ts'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import { storeAuthorizationCode } from '#/model/authorization_codes.ts'
import { findSessionWithGrant } from '#/model/grants.ts'
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

interface Authorization {
  sid?: string
  grantId?: string
}

/**
 * A plain code request with PKCE of someone who is signed in and has agreed to all of it before: one statement finds session, person and grant,
 * another stores the code. Whatever would show a page, or change the session, takes the long way.
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
  if (!client || !isOrdinary(client) || client.applicationType !== 'web') return false
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
  const session = await findSessionWithGrant(deps.db, { token_hash: sha256(token), issuer: deps.issuer, client_id }, now)
  if (!session?.user_id || !session.grant_id || !session.grant_payload || !session.grant_expires_at || session.grant_expires_at <= now)
    return false
  if (now.getTime() - session.last_used_at.getTime() > touchAfterMs) return false
  const { accountId, acr, amr, loginTs, authorizations, state } = session.payload
  const grant = session.grant_payload as { clientId?: string; accountId?: string; openid?: { scope?: string }; rejected?: unknown }
  const authorization = (authorizations as Record<string, Authorization> | undefined)?.[client_id]
  if (accountId !== session.user_id || grant.accountId !== accountId || grant.clientId !== client_id || grant.rejected || state)
    return false
  if (!authorization?.sid || authorization.grantId !== session.grant_id) return false
  const granted = (grant.openid?.scope ?? '').split(' ')
  if (!scopes.every((one) => granted.includes(one))) return false

  const code = randomToken()
  const iat = secondsNow(deps.clock)
  const exp = iat + facts.policy.authorizationCodeTTL
  await storeAuthorizationCode(deps.db, {
    code_hash: sha256(code),
    grant_id: session.grant_id,
    session_uid: session.uid,
    payload: {
      iat,
      exp,
      accountId,
      acr,
      amr,
      authTime: loginTs,
      clientId: client_id,
      codeChallenge: code_challenge,
      codeChallengeMethod: 'S256',
      expiresWithSession: true,
      grantId: session.grant_id,
      kind: 'AuthorizationCode',
      nonce: form.get('nonce'),
      redirectUri: redirect_uri,
      scope,
      sessionUid: session.uid,
      ...(client.includeSid() && { sid: authorization.sid }),
    },
    expires_at: dateOf(exp),
  })
  const target = new URL(redirect_uri)
  target.searchParams.set('code', code)
  const stateParameter = form.get('state')
  if (stateParameter !== undefined) target.searchParams.set('state', stateParameter)
  target.searchParams.set('iss', deps.issuer)
  response.writeHead(303, { location: target.href, 'cache-control': 'no-store', 'content-length': 0 })
  response.end()
  return true
}

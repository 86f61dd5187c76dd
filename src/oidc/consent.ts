/** Grants: what a client may do for a person in this session, out of what they agreed to now or before. */
import type { Grant, KoaContextWithOIDC, Provider, Session } from 'oidc-provider'
import type { Clock } from '#/lib/clock.ts'
import { randomToken } from '#/lib/crypto.ts'
import type { Db } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { findConsent, storeConsent } from '#/model/consents.ts'
import { revokeGrant } from '#/model/grants.ts'
import { claimAuthorization, findSessionByUid } from '#/model/sessions.ts'
import { factsOf } from './clients.ts'

interface Deps {
  db: Db
  clock: Clock
  issuer: string
}

export interface Agreed {
  scopes: readonly string[]
  claims: readonly string[]
  resources: Readonly<Record<string, readonly string[]>>
}

/** `Grant` of the library, with what its types leave out. */
type ProviderGrant = Grant & {
  getOIDCScopeEncountered(): string
  getOIDCClaimsEncountered(): string[]
  getResourceScopeEncountered(resource: string): string
}

/**
 * The grant that an authorization request stands on: the one the session has for the client, else a new one with what the person agreed to in
 * an earlier session. An operator's own application needs no one's consent: it is given what it asks for.
 */
export const findExistingGrant =
  ({ db, clock, issuer }: Deps) =>
  async (context: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { oidc } = context
    const { client, session, account } = oidc
    if (!client || !session || !account) return undefined
    const Class = oidc.provider.Grant
    const grantId = oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId)
    let grant = grantId === undefined ? undefined : await Class.find(grantId)
    if (grant && (grant.accountId !== account.accountId || grant.clientId !== client.clientId)) grant = undefined
    const isImplicit = factsOf(client).consent === 'implicit'
    if (grant && !isImplicit) return grant
    const agreed = isImplicit
      ? askedFor(context)
      : await findConsent(db, { user_id: account.accountId, issuer, client_id: client.clientId })
    if (!agreed) return grant
    if (grant && covers(grant as ProviderGrant, agreed)) return grant
    const extended = grant ?? new Class({ accountId: account.accountId, clientId: client.clientId })
    add(extended, agreed)
    const id = await extended.save()
    if (!grant) return await claimGrant(db, { session, Class, clientId: client.clientId, now: clock() }, extended, id)
    return extended
  }

/**
 * Two windows may ask for the same client at the same moment, before the session has a grant for it. One notes its grant, the other takes that
 * one: a code whose grant is not the session's would be worth nothing.
 */
const claimGrant = async (
  db: Db,
  { session, Class, clientId, now }: { session: Session; Class: Provider['Grant']; clientId: string; now: Date },
  grant: Grant,
  grantId: string,
): Promise<Grant> => {
  const sid = session.sidFor(clientId) ?? randomToken(16)
  const seen = session.grantIdFor(clientId) ?? null
  if (await claimAuthorization(db, { uid: session.uid, client_id: clientId, seen, grantId, sid })) {
    session.sidFor(clientId, sid)
    return grant
  }
  const noted = (await findSessionByUid(db, session.uid, now))?.payload.authorizations?.[clientId] as
    | { grantId?: string; sid?: string }
    | undefined
  const other = noted?.grantId === undefined ? undefined : await Class.find(noted.grantId)
  if (!other || noted?.sid === undefined) return grant
  await revokeGrant(db, grantId)
  session.sidFor(clientId, noted.sid)
  return other
}

/** All that a request asks for. */
export const askedFor = ({ oidc }: KoaContextWithOIDC): Agreed => ({
  scopes: [...oidc.requestParamOIDCScopes],
  claims: [...oidc.requestParamClaims],
  resources: Object.fromEntries(
    Object.entries(oidc.resourceServers ?? {}).map(([resource, server]) => [
      resource,
      [...oidc.requestParamScopes].filter((scope) => server.scopes.has(scope)),
    ]),
  ),
})

const covers = (grant: ProviderGrant, { scopes, claims, resources }: Agreed): boolean => {
  const known = new Set(grant.getOIDCScopeEncountered().split(' '))
  const knownClaims = new Set(grant.getOIDCClaimsEncountered())
  return (
    scopes.every((scope) => known.has(scope)) &&
    claims.every((claim) => knownClaims.has(claim)) &&
    Object.entries(resources).every(([resource, wanted]) => {
      const granted = new Set(grant.getResourceScopeEncountered(resource).split(' '))
      return wanted.every((scope) => granted.has(scope))
    })
  )
}

const add = (grant: Grant, { scopes, claims, resources }: Agreed): void => {
  if (scopes.length) grant.addOIDCScope(scopes.join(' '))
  if (claims.length) grant.addOIDCClaims([...claims])
  for (const [resource, granted] of Object.entries(resources)) if (granted.length) grant.addResourceScope(resource, granted.join(' '))
}

/** Remembers what the person agreed to and answers the grant that now holds it. */
export const grantConsent = async (
  { db, clock, issuer }: Deps,
  provider: Provider,
  { grantId, accountId, clientId, agreed }: { grantId: string | undefined; accountId: string; clientId: string; agreed: Agreed },
): Promise<string> => {
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  const grant = known && known.accountId === accountId && known.clientId === clientId ? known : new provider.Grant({ accountId, clientId })
  add(grant, agreed)
  const now = clock()
  await storeConsent(
    db,
    {
      consent_id: uuidv7(now),
      user_id: accountId,
      issuer,
      client_id: clientId,
      scopes: [...agreed.scopes],
      claims: [...agreed.claims],
      resources: Object.fromEntries(Object.entries(agreed.resources).map(([resource, scopes]) => [resource, [...scopes]])),
    },
    now,
  )
  return await grant.save()
}

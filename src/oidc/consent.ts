/** Grants: what a client may do for a person in this session, out of what they agreed to now or before. */
import type { Grant, KoaContextWithOIDC, Provider } from 'oidc-provider'
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
    if (grant) return extended
    const { clientId } = client
    const seen = { grantId: session.grantIdFor(clientId), sid: session.sidFor(clientId) }
    const claimed = await claimGrant(db, { uid: session.uid, clientId, seen, Class, now: clock() }, extended, id)
    if (claimed.sid !== undefined) session.sidFor(clientId, claimed.sid)
    return claimed.grant
  }

/** What a session notes of a client: its grant there, and the name it knows the session by. */
interface Noted {
  grantId?: string | undefined
  sid?: string | undefined
}

const findNoted = async (db: Db, uid: string, clientId: string, now: Date): Promise<Noted> =>
  ((await findSessionByUid(db, uid, now))?.payload.authorizations?.[clientId] as Noted | undefined) ?? {}

/**
 * Two windows may ask for the same client at the same moment, before the session has a grant for it. One notes its grant, the other takes that
 * one: a code whose grant is not the session's would be worth nothing.
 */
const claimGrant = async (
  db: Db,
  { uid, clientId, seen, Class, now }: { uid: string; clientId: string; seen: Noted; Class: Provider['Grant']; now: Date },
  grant: Grant,
  grantId: string,
): Promise<{ grant: Grant; sid: string | undefined }> => {
  const sid = seen.sid ?? randomToken(16)
  if (await claimAuthorization(db, { uid, client_id: clientId, seen: seen.grantId ?? null, grantId, sid })) return { grant, sid }
  const noted = await findNoted(db, uid, clientId, now)
  const other = noted.grantId === undefined ? undefined : await Class.find(noted.grantId)
  if (!other || noted.sid === undefined) return { grant, sid: undefined }
  await revokeGrant(db, grantId)
  return { grant: other, sid: noted.sid }
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

/**
 * Remembers what the person agreed to and answers the grant that now holds it. That is the session's, where it has one by now: they may have
 * agreed in another window since this request asked, and another grant in its place would end what that window got.
 */
export const grantConsent = async (
  { db, clock, issuer }: Deps,
  provider: Provider,
  {
    grantId,
    sessionUid,
    accountId,
    clientId,
    agreed,
  }: { grantId: string | undefined; sessionUid: string; accountId: string; clientId: string; agreed: Agreed },
): Promise<string> => {
  const Class = provider.Grant
  const now = clock()
  const seen = await findNoted(db, sessionUid, clientId, now)
  const knownId = seen.grantId ?? grantId
  const found = knownId === undefined ? undefined : await Class.find(knownId)
  const known = found?.accountId === accountId && found.clientId === clientId ? found : undefined
  const grant = known ?? new Class({ accountId, clientId })
  add(grant, agreed)
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
  const id = await grant.save()
  if (known) return id
  const claimed = await claimGrant(db, { uid: sessionUid, clientId, seen, Class, now }, grant, id)
  if (claimed.grant === grant) return id
  add(claimed.grant, agreed)
  return await claimed.grant.save()
}

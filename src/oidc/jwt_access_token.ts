/**
 * Access tokens as JWTs (RFC 9068), ours from one end to the other. `oidc-provider` makes JWTs only for a resource server and then refuses
 * them at its own endpoints; here every token is one unless the client wants it opaque, is not stored, and is taken at userinfo,
 * introspection and revocation: the signature says what was issued, and one statement says whether it still holds.
 */
import { verify } from 'node:crypto'
import { sha256 } from '#/lib/crypto.ts'
import { findGrantOfToken, type StoredPayload } from '#/model/grants.ts'
import { isTokenRevoked } from '#/model/revoked_tokens.ts'
import type { Keyring } from './keyring.ts'
import { rememberRow, requestMemory } from './request_memory.ts'
import type { SigningKey } from './signing_key.ts'
import type { StoreDeps } from './stores/store.ts'

/** Claims of ours beside the registered ones: what the token's model is made of again. None is secret. */
export interface AccessTokenClaims {
  iss: string
  sub: string
  aud: string
  client_id: string
  iat: number
  exp: number
  jti: string
  scope?: string | undefined
  cnf?: { jkt?: string; 'x5t#S256'?: string } | undefined
  /** Grant the token ends with. Absent in a client's own tokens. */
  grant_id?: string | undefined
  /** `sessions.uid`, when it ends with the session too. */
  session_uid?: string | undefined
  sid?: string | undefined
  gty?: string | undefined
  /** The claims parameter, for userinfo. */
  claims?: unknown
  /** Names of the claims that mappers added. */
  mapped?: string[] | undefined
  [claim: string]: unknown
}

const headers = new WeakMap<SigningKey, string>()

const headerOf = (key: SigningKey): string => {
  let header = headers.get(key)
  if (!header) {
    header = Buffer.from(JSON.stringify({ alg: key.alg, typ: 'at+jwt', kid: key.kid })).toString('base64url')
    headers.set(key, header)
  }
  return header
}

export const signAccessToken = (keyring: Keyring, claims: AccessTokenClaims): string => {
  const key = keyring.signers.get('ES256')
  if (!key) throw new Error(`${keyring.issuer} has no ES256 key`)
  const signed = `${headerOf(key)}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${key.sign(signed).toString('base64url')}`
}

/** Longer than any we make. */
const maxLength = 16 * 1024

/** Tokens whose signature was found right, by the key that made it: most come again and again. They go with their key. */
const verified = new WeakMap<SigningKey, Map<string, AccessTokenClaims>>()
const mostVerified = 2_000

/** Claims of a token that one of these keys signed; undefined for anything else. Says nothing of expiry or revocation. */
export const readAccessToken = (keyring: Keyring, token: string): AccessTokenClaims | undefined => {
  if (token.length > maxLength) return undefined
  const payloadAt = token.indexOf('.')
  const signatureAt = token.lastIndexOf('.')
  if (payloadAt < 1 || signatureAt <= payloadAt) return undefined
  const header = token.slice(0, payloadAt)
  // Ours are all made by headerOf: another spelling of the same header is not one we issued.
  const key = keyring.keys.find((candidate) => candidate.alg === 'ES256' && headerOf(candidate) === header)
  if (!key) return undefined
  let known = verified.get(key)
  if (!known) {
    known = new Map()
    verified.set(key, known)
  }
  let claims = known.get(token)
  if (!claims) {
    const signature = Buffer.from(token.slice(signatureAt + 1), 'base64url')
    const signed = Buffer.from(token.slice(0, signatureAt))
    if (!verify('sha256', signed, { key: key.publicKey, dsaEncoding: 'ieee-p1363' }, signature)) return undefined
    claims = Object.freeze(JSON.parse(Buffer.from(token.slice(payloadAt + 1, signatureAt), 'base64url').toString())) as AccessTokenClaims
    if (known.size >= mostVerified) known.delete(known.keys().next().value as string)
    known.set(token, claims)
  }
  return claims.iss === keyring.issuer ? claims : undefined
}

/** Payload of the model that the token stands for, when it is one of ours and still holds. */
export const findJwt = (deps: StoreDeps, value: string): Promise<StoredPayload | undefined> => {
  const memory = requestMemory()
  if (memory.jwt?.value !== value) memory.jwt = { value, found: find(deps, value) }
  return memory.jwt.found
}

/** A body's token comes with this before it: the library refuses to look at what it takes for a JWT. */
export const jwtMark = '~'

const find = async ({ db, clock, issuer, keyring }: StoreDeps, value: string): Promise<StoredPayload | undefined> => {
  const claims = readAccessToken(keyring(), value.startsWith(jwtMark) ? value.slice(1) : value)
  const now = clock()
  if (!claims || claims.exp <= now.getTime() / 1000) return undefined
  const jti_hash = sha256(claims.jti)
  let accountId: string | undefined
  if (claims.grant_id === undefined) {
    if (await isTokenRevoked(db, jti_hash)) return undefined
  } else {
    const row = await findGrantOfToken(db, { grant_id: claims.grant_id, session_uid: claims.session_uid ?? null, jti_hash, issuer }, now)
    if (!row) return undefined
    rememberRow(row, claims.session_uid)
    accountId = row.user_id
  }
  requestMemory().jwtExpiry = { jti: claims.jti, exp: claims.exp }
  const extra = claims.mapped && Object.fromEntries(claims.mapped.map((name) => [name, claims[name]]))
  return {
    kind: claims.grant_id === undefined ? 'ClientCredentials' : 'AccessToken',
    jti: claims.jti,
    iat: claims.iat,
    exp: claims.exp,
    clientId: claims.client_id,
    ...(accountId !== undefined && { accountId, grantId: claims.grant_id }),
    ...(claims.scope !== undefined && { scope: claims.scope }),
    // Without a resource the audience is ourselves, which the library writes as none.
    ...(claims.aud !== issuer && { aud: claims.aud }),
    ...(claims.cnf?.jkt !== undefined && { jkt: claims.cnf.jkt }),
    ...(claims.session_uid !== undefined && { sessionUid: claims.session_uid, expiresWithSession: true }),
    ...(claims.sid !== undefined && { sid: claims.sid }),
    ...(claims.gty !== undefined && { gty: claims.gty }),
    ...(claims.claims !== undefined && { claims: claims.claims }),
    ...(extra && { extra }),
  }
}

/** `X-Signet-Jwt`: who the person is, for applications that check a signature instead of trusting the network. Keys at /outpost.signet/jwks. */
import { createECDH, createPrivateKey, hash, hkdfSync, type KeyObject, sign } from 'node:crypto'
import type { GuardedApplication, Person } from './core.ts'
import { openKept } from './kept.ts'
import type { Session } from './session.ts'
import { entitlementsOf, toldClaims } from './told_claims.ts'

const lifetimeMs = 5 * 60_000
/** A token is good for a while after it was made, so one serves many requests. */
const renewAfterMs = 60_000
const most = 5_000
const mostBytes = 16 * 1_024 * 1_024

interface SigningKey {
  key: KeyObject
  kid: string
  jwk: Record<string, string>
}

const keys = new Map<string, SigningKey>()

/** Of an application: made of the key of its cookies, so that every outpost has the same one and nothing has to be stored. */
const signingKeyOf = (cookieKey: string): SigningKey => {
  const known = keys.get(cookieKey)
  if (known) return known
  const curve = createECDH('prime256v1')
  // A number of 32 bytes is a private key of P-256 but for one in four thousand million. The curve gives it back without the zeros it begins with.
  const privateKey = Buffer.from(hkdfSync('sha256', Buffer.from(cookieKey, 'base64url'), 'signet', 'outpost_jwt', 32))
  curve.setPrivateKey(privateKey)
  const point = curve.getPublicKey()
  const [x, y] = [point.subarray(1, 33), point.subarray(33, 65)].map((part) => part.toString('base64url')) as [string, string]
  const kid = hash('sha256', JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }), 'base64url')
  const made = {
    key: createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x, y, d: privateKey.toString('base64url') } }),
    kid,
    jwk: { kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' },
  }
  keys.set(cookieKey, made)
  return made
}

export const jwksOf = ({ cookieKey }: Pick<GuardedApplication, 'cookieKey'>) => ({ keys: [signingKeyOf(cookieKey).jwk] })

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

export const openIdentityJwts = () => {
  const made = openKept<{ jwt: string; person: Person; signedInAt: number; at: number }>({ most, mostBytes })
  return {
    of: (application: GuardedApplication, { session, person }: { session: Session; person: Person }, now: number): string => {
      const key = `${application.key} ${session.sid}`
      const known = made.get(key)
      // Whoever has changed is another object; who signed in anew may have other claims.
      if (known?.person === person && known.signedInAt === session.signedInAt && now - known.at < renewAfterMs) return known.jwt
      const { key: privateKey, kid } = signingKeyOf(application.cookieKey)
      const iat = Math.floor(now / 1_000)
      const claims = {
        // What follows is ours to say.
        ...toldClaims(session, application),
        iss: `${application.origin}/outpost.signet`,
        aud: `${application.origin}${application.path}`,
        sub: person.id,
        preferred_username: person.username,
        email: person.email,
        name: person.name,
        groups: person.groups,
        entitlements: entitlementsOf(session, application),
        acr: session.acr,
        amr: session.amr,
        iat,
        exp: iat + lifetimeMs / 1_000,
      }
      const input = `${encode({ alg: 'ES256', typ: 'JWT', kid })}.${encode(claims)}`
      const jwt = `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
      made.set(key, { jwt, person, signedInAt: session.signedInAt, at: now }, jwt.length * 4)
      return jwt
    },
  }
}

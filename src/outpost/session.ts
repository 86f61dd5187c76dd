/**
 * A sign-in at an outpost: sealed into cookies, so that a request is judged without asking anyone. One value is cut into several cookies where it
 * is longer than browsers take.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { GuardedApplication, Person } from './core.ts'
import { openKept } from './kept.ts'
import type { ToldClaims } from './told_claims.ts'

export interface Session {
  /** The issuer's name of the session that it hangs on. */
  sid: string
  issuer: string
  person: Person
  acr: string
  amr: string[]
  /** What the AuthServer was asked to see to at this sign-in: `demandsOf`. */
  vouchedFor: string
  /** Milliseconds since 1970. */
  signedInAt: number
  expiresAt: number
  /** What applications are told beyond who it is, by what they want. Absent: of a sign-in that asked for none. */
  claims?: Record<string, ToldClaims>
  /** Cookies had no room for them. */
  isWithoutAttributes?: true
}

/** A client, and the second factors that its policies want. */
export const demandsOf = ({ client, requiredFactors }: Pick<GuardedApplication, 'client' | 'requiredFactors'>): string =>
  [client.clientId, ...(requiredFactors ?? [])].join(' ')

/** How long a browser is not sent to the AuthServer again. Ending the session there ends it here at once. */
export const sessionMs = 12 * 3_600_000
/** So far the clocks of an outpost, of a server and of the database may be apart. */
export const clocksDifferMs = 3_600_000
/** A cookie expires by the outpost's clock, what ended is forgotten by core's. */
export const endingsKeptMs = sessionMs + clocksDifferMs

const chunk = 3_600
const mostChunks = 6
/** Of cookies that carry what several applications are told: they go to each of them, and many servers take 8 kB of headers. */
const comfortable = 5_400
/** Unpacked. */
const largest = 96 * 1_024
const nonceBytes = 12
const tagBytes = 16

type Scope = Pick<GuardedApplication, 'cookieKey' | 'cookieDomain' | 'origin' | 'path' | 'mode'>

/** Asked for at every request. */
const names = new WeakMap<object, string>()

/** Of a key, for what else is kept under its name. */
export const plainName = ({ cookieKey }: Pick<GuardedApplication, 'cookieKey'>): string =>
  `signet_outpost_${hash('sha256', `name ${cookieKey}`, 'hex').slice(0, 12)}`

/**
 * Applications that share a key share the cookie. By the prefix of its name (RFC 6265bis section 4.1.3) a browser takes it from https alone and, where
 * it can, from this very host: another host of the domain could otherwise sign people in as someone else.
 */
export const cookieName = (scope: Scope): string => {
  let name = names.get(scope)
  if (name === undefined) {
    const isOfHost = scope.cookieDomain === undefined && pathOf(scope) === '/'
    const prefix = !scope.origin.startsWith('https:') ? '' : isOfHost ? '__Host-' : '__Secure-'
    name = `${prefix}${plainName(scope)}`
    names.set(scope, name)
  }
  return name
}

export const seal = (value: unknown, cookieKey: string, purpose: string): string => {
  const plain = deflateRawSync(JSON.stringify(value))
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(cookieKey, 'base64url'), nonce).setAAD(Buffer.from(purpose))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Undefined for whatever is not ours, or was sealed for something else; or is too large to have been sealed by us. */
export const unseal = (sealed: string, cookieKey: string, purpose: string): unknown => {
  const bytes = Buffer.from(sealed, 'base64url')
  // One text alone stands for what was sealed: decoding overlooks what is no base64url.
  if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== sealed) return undefined
  try {
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(cookieKey, 'base64url'), bytes.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    })
      .setAAD(Buffer.from(purpose))
      .setAuthTag(bytes.subarray(-tagBytes))
    const plain = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()])
    return JSON.parse(inflateRawSync(plain, { maxOutputLength: largest }).toString())
  } catch {
    return undefined
  }
}

const attributes = ({ cookieDomain, origin }: Scope): string =>
  `${cookieDomain === undefined ? '' : `; Domain=${cookieDomain}`}; HttpOnly; SameSite=Lax${origin.startsWith('https:') ? '; Secure' : ''}`

const pathOf = ({ mode, path }: Scope): string => (mode === 'forward_domain' ? '/' : path || '/')

/**
 * Set-Cookie values. What applications that share the sign-in were told goes along as far as it stays comfortable. Where the rest is too long for a
 * browser, attributes are left out, which core is then asked for, and after them what this application is told, of which `leftOut` is told; groups are
 * not: rules hang on them.
 */
export const writeSession = (session: Session, scope: Scope, leftOut: () => void = () => {}): string[] => {
  const sealed = sealedWithOthers(session, scope.cookieKey) ?? sealedAlone(session, scope.cookieKey, leftOut)
  if (sealed === undefined) throw new Error('the person has more groups than cookies can carry')
  const name = cookieName(scope)
  const parts = Array.from({ length: Math.ceil(sealed.length / chunk) }, (_, index) => sealed.slice(index * chunk, (index + 1) * chunk))
  const age = Math.max(0, Math.floor((session.expiresAt - session.signedInAt) / 1_000))
  const lines = parts.map((value, index) => `${nameOf(name, index)}=${value}; Path=${pathOf(scope)}; Max-Age=${age}${attributes(scope)}`)
  // What is left of a longer one would be read as the end of this one.
  return parts.length < mostChunks ? [...lines, clear(nameOf(name, parts.length), scope)] : lines
}

/** Undefined for what would be too long, or could not be read again: whoever is sent such a cookie is sent to sign in for ever. */
const sealedToFit = (session: Session, cookieKey: string, room = chunk * mostChunks): string | undefined => {
  if (Buffer.byteLength(JSON.stringify(session)) > largest) return undefined
  const sealed = seal(session, cookieKey, 'session')
  return sealed.length > room ? undefined : sealed
}

/** Those left out are asked for again when the person comes to their application. Undefined where there are none, or no room for any. */
const sealedWithOthers = (session: Session, cookieKey: string): string | undefined => {
  const [own, others] = ownAndOthers(session)
  for (let count = others.length; count > 0; count >>= 1) {
    const claims = Object.fromEntries([...own, ...others.slice(0, count)])
    const sealed = sealedToFit({ ...session, claims }, cookieKey, comfortable)
    if (sealed !== undefined) return sealed
  }
  return undefined
}

const sealedAlone = (session: Session, cookieKey: string, leftOut: () => void): string | undefined => {
  const [own] = ownAndOthers(session)
  const alone: Session = own.length ? { ...session, claims: Object.fromEntries(own) } : session
  const bare: Session = { ...alone, person: { ...session.person, attributes: {} }, isWithoutAttributes: true }
  const sealed = sealedToFit(alone, cookieKey) ?? sealedToFit(bare, cookieKey)
  if (sealed !== undefined || !own.length) return sealed
  leftOut()
  // That they were asked for is kept, or the person would be sent to sign in for ever.
  return sealedToFit({ ...bare, claims: Object.fromEntries(own.map(([key, { at }]) => [key, { at, claims: {} }])) }, cookieKey)
}

/** What the application of this sign-in is told, and what others are, the latest first. */
const ownAndOthers = ({ claims = {}, signedInAt }: Session): [own: [string, ToldClaims][], others: [string, ToldClaims][]] => {
  const all = Object.entries(claims).toSorted(([, a], [, b]) => b.at - a.at)
  return [all.filter(([, { at }]) => at === signedInAt), all.filter(([, { at }]) => at !== signedInAt)]
}

const nameOf = (name: string, index: number): string => (index === 0 ? name : `${name}.${index}`)

const clear = (name: string, scope: Scope): string => `${name}=; Path=${pathOf(scope)}; Max-Age=0${attributes(scope)}`

export const clearSession = (scope: Scope): string[] =>
  Array.from({ length: mostChunks }, (_, index) => clear(nameOf(cookieName(scope), index), scope))

const mostOfOneName = 5

/** Every cookie of a Cookie header by that name; several of one name may come from other paths and domains. */
export const cookiesNamed = (header: string | undefined, name: string): string[] => {
  if (!header) return []
  const found: string[] = []
  let equals = -1
  for (let from = 0; from < header.length && found.length < mostOfOneName; ) {
    const semicolon = header.indexOf(';', from)
    const end = semicolon < 0 ? header.length : semicolon
    // Looked for once, however many semicolons stand before it.
    if (equals < from) equals = header.indexOf('=', from)
    if (equals < 0) break
    if (equals > from && equals < end && header.slice(from, equals).trim() === name) found.push(header.slice(equals + 1, end).trim())
    from = end + 1
  }
  return found
}

/** A sign-in unpacked and its sealed text, about, for each character of that text. */
const bytesPerCharacter = 6

/** Characters at the end of a sealed text that it is found by: a map that looks for all of it reads it twice. They are those of its tag, so no two are alike. */
const findable = 32

/** What is cut out of a header keeps all of it in memory. */
const copyOf = (text: string): string => Buffer.from(text).toString()

/** Sessions opened lately, so that a page with a hundred pictures opens one once. */
export const openSessions = ({ most = 5_000, mostBytes = 32 * 1_024 * 1_024 } = {}) => {
  const known = openKept<{ sealed: string; cookieKey: string; session: Session }>({ most, mostBytes })

  const open = (sealed: string, cookieKey: string): Session | undefined => {
    const end = sealed.slice(-findable)
    const seen = known.get(end)
    if (seen?.sealed === sealed && seen.cookieKey === cookieKey) return seen.session
    // Sealed by us, so of this shape.
    const session = unseal(sealed, cookieKey, 'session') as Session | undefined
    if (session) known.set(copyOf(end), { sealed: copyOf(sealed), cookieKey, session }, sealed.length * bytesPerCharacter)
    return session
  }

  return {
    /** Undefined when there is none, it has expired, or is not ours. Whether it was ended is core's to know. */
    read: (cookies: string | undefined, scope: Scope & Pick<GuardedApplication, 'issuer'>, now: number): Session | undefined => {
      const name = cookieName(scope)
      if (!cookies?.includes(name)) return undefined
      for (const first of cookiesNamed(cookies, name)) {
        let sealed = first
        for (let index = 1; index < mostChunks; index++) {
          const [next] = sealed.length === chunk * index ? cookiesNamed(cookies, nameOf(name, index)) : []
          if (!next) break
          sealed += next
        }
        if (sealed.length > chunk * mostChunks) continue
        const session = open(sealed, scope.cookieKey)
        if (session && session.issuer === scope.issuer.url && session.expiresAt > now) return session
      }
      return undefined
    },
  }
}

export type Sessions = ReturnType<typeof openSessions>

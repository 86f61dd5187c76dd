/**
 * What an application is told beyond who the person is: entitlements, and headers that it states, each filled from a claim of the ID token. Claims are made for one
 * client, so each application that shares a sign-in has its own, and whoever comes to one with a sign-in that has none of them is sent to the
 * AuthServer once more. Handing on those of another client would give away, or grant, what was meant for that one.
 */
import { hash } from 'node:crypto'
import { asRead } from '#/kinds/header_name.ts'
import type { GuardedApplication } from './core.ts'
import { type Session, sessionMs } from './session.ts'

type Scalar = string | number | boolean
export type ClaimValue = Scalar | readonly Scalar[]

export interface ToldClaims {
  /** Milliseconds since 1970 of the sign-in that they are of. */
  at: number
  claims: Readonly<Record<string, ClaimValue>>
}

type Stating = Pick<GuardedApplication, 'headers' | 'client' | 'entitlements'>

const entitlements = 'entitlements'

/** Bytes as JSON, of one claim and of all for one application. */
const largest = 4_096
const largestTogether = 8_192
/** Applications whose claims one sign-in carries. */
const mostApplications = 50

interface Stated {
  /** Of a client and the claims that it wants: others are asked for anew. */
  key: string
  claims: readonly string[]
  /** As they are read. */
  names: ReadonlySet<string>
}

/** Asked for at every request. */
const statedBy = new WeakMap<object, Stated>()
const nothing: ReadonlySet<string> = new Set()

const statedOf = (application: Stating): Stated | undefined => {
  const { headers, client, entitlements: wantsEntitlements } = application
  const wanted = headers.claims ?? []
  if (!wanted.length && !wantsEntitlements) return undefined
  let stated = statedBy.get(application)
  if (!stated) {
    const claims = [...new Set([...wanted.map(({ claim }) => claim), ...(wantsEntitlements ? [entitlements] : [])])].toSorted()
    const key = hash('sha256', JSON.stringify([client.clientId, ...claims]), 'base64url').slice(0, 12)
    stated = { key, claims, names: new Set(wanted.map(({ header }) => asRead(header))) }
    statedBy.set(application, stated)
  }
  return stated
}

/** Names of headers that only the outpost may say to the application, as they are read. */
export const statedNames = (application: Stating): ReadonlySet<string> => statedOf(application)?.names ?? nothing

/** Of all applications: two of them may be one program, and a name that is sent to one is then believed by the other. */
export const namesOfAll = (applications: readonly Stating[]): ReadonlySet<string> =>
  new Set(applications.flatMap((application) => [...statedNames(application)]))

/** In the answer to a proxy, of those that the applications of an outpost state. */
const mostOfOthers = 100

/**
 * Headers that applications state which a proxy asks about. It copies one list for all of them, and some proxies leave what came from outside, or write
 * something of their own, where the answer lacks a name. So each answer has the names of the others too, empty.
 */
export const statedForProxies = (applications: readonly Pick<GuardedApplication, 'headers' | 'mode'>[]): readonly string[] => {
  const names = new Map<string, string>()
  for (const { headers, mode } of applications)
    for (const { header } of (mode === 'proxy' ? undefined : headers.claims) ?? [])
      if (names.size < mostOfOthers && !names.has(asRead(header))) names.set(asRead(header), header)
  return [...names.values()]
}

/** Stands for what a sign-in asks the AuthServer for; undefined when that is nothing. */
export const wantedKey = (application: Stating): string | undefined => statedOf(application)?.key

/** Names of claims to ask the AuthServer for. */
export const wantedClaims = (application: Stating): readonly string[] => statedOf(application)?.claims ?? []

export const toldClaims = (session: Session, application: Stating): Readonly<Record<string, ClaimValue>> => {
  const stated = statedOf(application)
  return (stated && session.claims?.[stated.key]?.claims) ?? {}
}

/** What ClaimMappers call so, as far as it is text. */
export const entitlementsOf = (session: Session, application: Stating): readonly string[] => {
  const { entitlements: found } = toldClaims(session, application)
  return typeof found === 'object' ? found.filter((item) => typeof item === 'string') : []
}

/** Whether what the application is to be told was asked for, and no longer ago than a sign-in holds. */
export const hasAskedFor = (session: Session, application: Stating, now: number): boolean => {
  const stated = statedOf(application)
  if (!stated) return true
  const told = session.claims?.[stated.key]
  return told !== undefined && now - told.at < sessionMs
}

const isScalar = (value: unknown): value is Scalar =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))

const readClaim = (value: unknown): ClaimValue | undefined => {
  if (Array.isArray(value)) return value.filter(isScalar)
  return isScalar(value) ? value : undefined
}

/** Of an ID token; with the names of those that are too large for a cookie. */
export const claimsOf = (
  found: Readonly<Record<string, unknown>>,
  application: Stating,
  now: number,
): { claims: Record<string, ToldClaims>; tooLarge: string[] } => {
  const stated = statedOf(application)
  if (!stated) return { claims: {}, tooLarge: [] }
  const kept: [string, ClaimValue][] = []
  const tooLarge: string[] = []
  let total = 0
  for (const name of stated.claims) {
    const value = Object.hasOwn(found, name) ? readClaim(found[name]) : undefined
    if (value === undefined) continue
    const size = Buffer.byteLength(JSON.stringify(value))
    if (size > largest || total + size > largestTogether) tooLarge.push(name)
    else {
      total += size
      kept.push([name, value])
    }
  }
  return { claims: { [stated.key]: { at: now, claims: Object.fromEntries(kept) } }, tooLarge }
}

/** With what an earlier sign-in of the same person was told for other applications, as long as that is no older than a sign-in may be. */
export const withEarlier = (session: Session, earlier: Session | undefined): Session => {
  if (earlier?.person.id !== session.person.id || earlier.issuer !== session.issuer) return session
  const own = session.claims ?? {}
  const others = Object.entries(earlier.claims ?? {})
    .filter(([key, { at }]) => !Object.hasOwn(own, key) && session.signedInAt - at < sessionMs)
    .toSorted(([, a], [, b]) => b.at - a.at)
    .slice(0, mostApplications - 1)
  return { ...session, claims: { ...own, ...Object.fromEntries(others) } }
}

/** What an application is told of the person, and the names that nobody outside may use for it. */
import { asRead } from '#/kinds/header_name.ts'
import type { GuardedApplication, Person } from './core.ts'
import type { Session } from './session.ts'
import { type ClaimValue, entitlementsOf, toldClaims } from './told_claims.ts'

/** Not separated by commas, which stand in names of groups that come from directories. */
const separator = '|'

export const remoteNames = ['Remote-User', 'Remote-Groups', 'Remote-Email', 'Remote-Name'] as const
const ownPrefix = 'x-signet-'
const remotes = new Set(remoteNames.map((name) => name.toLowerCase()))

/** Whether a header says who someone is, under any name that an application could read as one of ours. */
export const isIdentityHeader = (name: string): boolean => {
  const read = asRead(name)
  return read.startsWith(ownPrefix) || remotes.has(read)
}

/** What no header can hold becomes white space. */
const writable = (value: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be found.
  value.replace(/[\u0000-\u001f\u007f]/g, ' ').toWellFormed()

/** As bytes of UTF-8, which is how applications read them; without what could end a line. */
export const headerText = (value: string): string => Buffer.from(writable(value), 'utf8').toString('latin1')

/**
 * A list in one header. What an application could read as another entry, or as two, is left out, so that nobody gains a group by its name: many
 * cut white space off, and what headers can not hold becomes white space.
 */
const list = (values: readonly string[], by: string): string =>
  headerText(values.filter((value) => value !== '' && value === writable(value).trim() && !value.includes(by)).join(by))

const claimText = (value: ClaimValue | undefined): string =>
  typeof value === 'object' ? list(value.map(String), separator) : headerText(String(value ?? ''))

/**
 * Every name is there, empty where there is nothing to say: a proxy that copies them then overwrites whatever came from outside. Caddy puts the
 * text of its own placeholder in place of a name that is missing.
 */
export const identityHeaders = (
  application: Pick<GuardedApplication, 'headers' | 'client' | 'entitlements'>,
  signedIn: { session: Session; person: Person } | undefined,
): Record<string, string> => {
  const { headers } = application
  const person = signedIn?.person
  const claims = signedIn ? toldClaims(signedIn.session, application) : {}
  const groups = person?.groups ?? []
  const remote = headers.remoteUser ? person : undefined
  return {
    'X-Signet-Username': headerText(person?.username ?? ''),
    'X-Signet-Email': headerText(person?.email ?? ''),
    'X-Signet-Name': headerText(person?.name ?? ''),
    'X-Signet-Groups': list(groups, separator),
    'X-Signet-Uid': person?.id ?? '',
    'X-Signet-Entitlements': list(signedIn ? entitlementsOf(signedIn.session, application) : [], separator),
    'Remote-User': headerText(remote?.username ?? ''),
    'Remote-Groups': list(remote?.groups ?? [], ','),
    'Remote-Email': headerText(remote?.email ?? ''),
    'Remote-Name': headerText(remote?.name ?? ''),
    ...Object.fromEntries((headers.claims ?? []).map(({ header, claim }) => [header, claimText(ownValue(claims, claim))])),
  }
}

const ownValue = (claims: Readonly<Record<string, ClaimValue>>, name: string): ClaimValue | undefined =>
  Object.hasOwn(claims, name) ? claims[name] : undefined

/** `Authorization` for an application that wants Basic; undefined where the person has no such attributes. */
export const upstreamBasic = ({ headers: { basic } }: Pick<GuardedApplication, 'headers'>, person: Person): string | undefined => {
  if (!basic) return undefined
  const username = textOf(person.attributes[basic.username])
  const password = textOf(person.attributes[basic.password])
  if (username === undefined || password === undefined || username.includes(':')) return undefined
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

const textOf = (value: unknown): string | undefined => {
  const first = Array.isArray(value) ? value[0] : value
  return typeof first === 'string' && first !== '' ? first : undefined
}

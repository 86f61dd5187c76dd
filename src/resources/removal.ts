/**
 * What may not be deleted, since nobody would get in any more: a UserStore that an AuthServer has its people in, and the last AuthServer
 * by which our REST is reached. Whatever else refers to what is gone is not Ready, says so, and comes right when it is back.
 */
import { Problem } from '#/lib/problem.ts'
import type { Configuration, ResolvedAuthServer } from './configuration.ts'

export interface Removed {
  kind: string
  namespace: string
  name: string
}

/** Kinds of which some may not go. */
export const mayLockOut: ReadonlySet<string> = new Set(['UserStore', 'AuthServer'])

const mostNamed = 10

const listed = (names: readonly string[]): string =>
  names.slice(0, mostNamed).join(', ') + (names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '')

const nameOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`

/** Throws Problem `conflict`. `before` and `after`: what is in force with it and without. `baseUrl`: where people expect REST; absent: anywhere. */
export const refuseLockOut = (
  removed: Removed,
  { before, after, baseUrl }: { before: Configuration; after: Configuration; baseUrl: string | undefined },
): void => {
  if (removed.kind === 'UserStore') refuseUsed(removed, after, before)
  if (removed.kind === 'AuthServer') refuseLast(removed, before, baseUrl)
}

const refuseUsed = (removed: Removed, after: Configuration, before: Configuration): void => {
  const lost = after.authServers.filter(
    (server) => !server.userStore && before.authServerByKey.get(nameOf(server))?.userStore !== undefined,
  )
  if (lost.length)
    throw new Problem('conflict', {
      detail: `people of AuthServer ${listed(lost.map(nameOf))} live in UserStore ${nameOf(removed)}: first give each another spec.userStoreRef, or delete it`,
    })
}

const refuseLast = (removed: Removed, before: Configuration, baseUrl: string | undefined): void => {
  const serving = before.authServers.filter((server) => server.problem === undefined)
  const own = serving.find((server) => nameOf(server) === nameOf(removed))
  if (!own) return
  const others = serving.filter((server) => server !== own)
  const host = baseUrl === undefined ? undefined : new URL(baseUrl).host
  const isAt = (server: ResolvedAuthServer) => server.host === host
  if (others.length && (!isAt(own) || others.some(isAt))) return
  throw new Problem('conflict', {
    detail: isAt(own)
      ? `AuthServer ${nameOf(removed)} is the last one at ${host}, where this server is reached (BASE_URL): first apply another one whose spec.issuerUrl is there`
      : `AuthServer ${nameOf(removed)} is the last one in force, and without any nothing is answered: first apply another one`,
  })
}

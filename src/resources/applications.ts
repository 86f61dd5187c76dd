/** What a person may use, and where a click leads. */
import { effectiveGroups } from '#/identity/groups.ts'
import type { User } from '#/identity/user.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import type { Db } from '#/lib/sql.ts'
import { decideAccess } from '#/policy/application_access.ts'
import { clientOfApplication } from './outpost_client.ts'
import type { ResolvedClient, Snapshot } from './snapshot.ts'

export interface ApplicationsDeps {
  db: Db
  log: Log
  snapshot: Snapshot
}

export interface OwnApplication {
  name: string
  description?: string
  icon?: string
  url: string
  /** Where there is no icon. */
  initial: string
}

/** Who asks, where, and from where. */
export interface ApplicationUser {
  user: User
  authServer: AuthServerRef
  network: string
}

/** Applications of this AuthServer that the person may use, and its clients that can begin a sign-in by themselves; by name. */
export const listApplications = async (
  { db, log, snapshot }: ApplicationsDeps,
  { user, authServer, network }: ApplicationUser,
): Promise<OwnApplication[]> => {
  const groups = await effectiveGroups(db, user.id)
  const { namespace, name, issuerUrl } = authServer
  const isOfServer = (ref: { namespace?: string | undefined; name: string }, own: string) =>
    ref.name === name && (ref.namespace ?? own) === namespace
  const listed = new Set<string>()
  const shown: OwnApplication[] = []
  for (const application of snapshot.list('Application')) {
    const { metadata, spec } = application
    const client = clientOfApplication(snapshot, application)
    if (client) listed.add(client.clientId)
    if (spec.paused || !isOfServer(spec.authServerRef, metadata.namespace)) continue
    const access = decideAccess(spec.access, { user, groups, client: client ? clientOf(client) : {}, network })
    if (access.kind === 'refused' && access.failed)
      log.warn(
        { event: 'application.refused', application: `${metadata.namespace}/${metadata.name}`, reason: access.failed.slice(0, 300) },
        'an access expression failed',
      )
    if (access.kind !== 'allowed') continue
    shown.push(tile(spec.displayName, spec.launchUrl ?? spec.proxy?.externalUrl ?? '', spec.description, spec.icon))
  }
  for (const { metadata, spec } of snapshot.list('AuthClient')) {
    const client = snapshot.client(metadata.namespace, metadata.name)
    if (!client || client.problem || !spec.initiateLoginUri || listed.has(client.clientId)) continue
    if (spec.paused || !isOfServer(spec.authServerRef, metadata.namespace)) continue
    // Initiating login from a third party (OpenID Connect Core 1.0, section 4).
    const url = new URL(spec.initiateLoginUri)
    url.searchParams.set('iss', issuerUrl)
    shown.push(tile(spec.displayName ?? client.clientId, url.href, undefined, spec.logoUri))
  }
  return shown.sort((a, b) => a.name.localeCompare(b.name))
}

const clientOf = ({ clientId, resource }: ResolvedClient) => ({
  name: resource.metadata.name,
  clientId,
  labels: resource.metadata.labels,
})

const tile = (name: string, url: string, description: string | undefined, icon: string | undefined): OwnApplication => ({
  name,
  url,
  initial: [...name.trim()][0]?.toUpperCase() ?? '·',
  ...(description ? { description } : {}),
  ...(icon ? { icon } : {}),
})

/** Why an application behind an outpost is closed to everyone. What cannot be served as it is written is not served at all. */
import { isUnder, publicPathProblem } from '#/kinds/public_path.ts'
import type { Configuration, Problem } from './configuration.ts'
import { clientOfApplication, outpostOf } from './outpost_client.ts'
import type { ResourceOf } from './resource.ts'

/**
 * Of two that claim the same the older one keeps it. A host belongs to the namespace whose application stood there first: at a longer path one of
 * another namespace would take requests of it, and at any path its scripts would act there as whoever is signed in.
 */
const takenBy = (
  { metadata, spec }: Pick<ResourceOf<'Application'>, 'metadata' | 'spec'>,
  configuration: Pick<Configuration, 'byKind'>,
): string | undefined => {
  const own = placeOf(spec.proxy?.externalUrl ?? '')
  for (const other of (configuration.byKind.get('Application') ?? []) as unknown as ResourceOf<'Application'>[]) {
    if (other.metadata.namespace === metadata.namespace && other.metadata.name === metadata.name) return undefined
    const place = other.spec.proxy && placeOf(other.spec.proxy.externalUrl)
    if (place?.host !== own.host) continue
    const theirs = `Application ${other.metadata.namespace}/${other.metadata.name}`
    if (place.path === own.path) return `is that of ${theirs} already`
    if (other.metadata.namespace !== metadata.namespace) return `is on the host of ${theirs}, which is of another namespace`
  }
  return undefined
}

/** Whatever the scheme: requests are told apart by host and path alone. */
const placeOf = (url: string): { host: string; path: string } => {
  if (!URL.canParse(url)) return { host: url, path: '' }
  const { host, pathname } = new URL(url)
  return { host, path: pathname.replace(/\/$/, '') }
}

/** Why an application behind an outpost is closed; undefined when it is not. */
export const guardProblem = (
  application: Pick<ResourceOf<'Application'>, 'metadata' | 'spec'>,
  configuration: Pick<Configuration, 'byKind' | 'clients' | 'authServers'>,
): Problem | undefined => {
  const { proxy } = application.spec
  if (!proxy) return undefined
  const client = clientOfApplication({ client: (namespace, name) => configuration.clients.get(`${namespace}/${name}`) }, application)
  if (client?.problem) return client.problem
  const outpost = outpostOf(application)
  if (
    outpost !== undefined &&
    !configuration.byKind.get('Outpost')?.some(({ metadata }) => `${metadata.namespace}/${metadata.name}` === outpost)
  )
    return { reason: 'OutpostNotFound', message: `there is no Outpost ${outpost}`, errors: [] }
  for (const [index, pattern] of proxy.publicPaths.entries()) {
    const found = publicPathProblem(pattern)
    if (found)
      return {
        reason: 'PublicPathNotUnderstood',
        message: `spec.proxy.publicPaths[${index}]: ${pattern} ${found}; the application is closed`,
        errors: [],
      }
  }
  const taken = takenBy(application, configuration)
  if (taken) return { reason: 'ExternalUrlConflict', message: `spec.proxy.externalUrl ${taken}`, errors: [] }
  const { host, hostname, pathname } = new URL(proxy.externalUrl)
  const own = configuration.authServers.find((server) => server.host === host && isAbove(pathname, server.pathPrefix))
  if (own)
    return {
      reason: 'ExternalUrlConflict',
      message: `spec.proxy.externalUrl stands where AuthServer ${own.namespace}/${own.name} answers`,
      errors: [],
    }
  if (proxy.cookieDomain !== undefined && !isUnder(hostname, proxy.cookieDomain))
    return { reason: 'CookieDomain', message: `spec.proxy.externalUrl is not under ${proxy.cookieDomain}`, errors: [] }
  return undefined
}

/** Whether an application at `path` would take what an AuthServer under `prefix` answers. */
const isAbove = (path: string, prefix: string): boolean => `${prefix}/`.startsWith(path.endsWith('/') ? path : `${path}/`)

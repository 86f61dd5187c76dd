/**
 * To which namespace a host belongs: that of the AuthServer or of the guarded Application that was there first. Others of the same host, with paths
 * of their own, take it from no one: else whoever may make an Application would make a host theirs.
 */
import { canonicalAddress } from '#/lib/certificate.ts'
import type { Snapshot } from '#/resources/snapshot.ts'

/** The namespace in which CERTS_DIR makes KeyPairs, and the first start the AuthServer of BASE_URL. */
export const administrators = 'default'

export const hostOwners = (snapshot: Pick<Snapshot, 'list'>): Map<string, string> => {
  const claims = [
    ...snapshot.list('AuthServer').map(({ metadata, spec }) => ({ metadata, url: spec.issuerUrl })),
    ...snapshot.list('Application').flatMap(({ metadata, spec }) => (spec.proxy ? [{ metadata, url: spec.proxy.externalUrl }] : [])),
  ].toSorted((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp))
  const owners = new Map<string, string>()
  for (const { metadata, url } of claims) {
    const name = canonicalAddress(new URL(url).hostname.replace(/^\[|\]$|\.$/g, ''))
    if (!owners.has(name)) owners.set(name, metadata.namespace)
  }
  return owners
}

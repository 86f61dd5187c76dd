/** Applications behind outposts, as an outpost needs to know them: all of it JSON, since an outpost may run elsewhere. */

import type { ApplicationSpec } from '#/kinds/application.ts'
import type { ProxySpec } from '#/kinds/application_proxy.ts'
import { isForClient } from '#/kinds/claim_mapper.ts'
import { parseDuration } from '#/lib/clock.ts'
import { deriveKey } from '#/lib/crypto.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Acr } from '#/policy/acr.ts'
import { clientOfApplication, outpostClientSecret, outpostOf } from './outpost_client.ts'
import type { ResourceOf } from './resource.ts'
import type { ResolvedAuthServer, Snapshot } from './snapshot.ts'

export interface GuardedApplication {
  /** `namespace/name` */
  key: string
  displayName: string
  mode: ProxySpec['mode']
  /** Of externalUrl. */
  origin: string
  /** With its port, unless that is the usual one. */
  host: string
  /** Of externalUrl, without a slash at its end; '' for all of the host. */
  path: string
  upstreamUrl: string | undefined
  cookieDomain: string | undefined
  publicPaths: readonly string[]
  /** `claims` is absent where a server of before, or what was kept of one, says it. */
  headers: Omit<ProxySpec['headers'], 'claims'> & Partial<Pick<ProxySpec['headers'], 'claims'>>
  /** Whether ClaimMappers make `entitlements` for its client. Absent where a server of before says it. */
  entitlements?: boolean
  upstream: {
    tls: ProxySpec['upstream']['tls']
    hostHeader: ProxySpec['upstream']['hostHeader']
    connectMs: number
    responseMs: number
    idleMs: number
  }
  access: ApplicationSpec['access']
  /** What expressions see of its client. */
  client: { name: string; clientId: string; labels: Readonly<Record<string, string>> }
  clientSecret: string
  /** How the client authenticates. */
  authMethod: string
  /** Its requests must be pushed (RFC 9126). */
  pushed: boolean
  /** The least a sign-in must be worth. */
  acr: Acr
  /** Second factors of which one must have been proven; undefined: none is demanded. */
  requiredFactors: readonly string[] | undefined
  issuer: { url: string; displayName: string }
  /** Base64url of the key of its cookies. Applications that share a sign-in share it. */
  cookieKey: string
  /** Why it is closed to everyone; undefined when it is not. */
  problem: string | undefined
}

const ms = (duration: string): number => parseDuration(duration) ?? 0

export const guardedApplication = (
  snapshot: Pick<Snapshot, 'client' | 'problemOfApplication'>,
  rootSecret: Secret,
  application: ResourceOf<'Application'>,
): GuardedApplication | undefined => {
  const { spec, metadata } = application
  const { proxy } = spec
  if (!proxy) return undefined
  const client = clientOfApplication(snapshot, application)
  // Without an AuthServer nobody could sign in, and nothing says where it would be.
  if (!client?.authServer) return undefined
  const key = `${metadata.namespace}/${metadata.name}`
  const { origin, host, pathname } = new URL(proxy.externalUrl)
  const { timeouts } = proxy.upstream
  const { issuerUrl } = client.authServer
  const outpost = outpostOf(application)
  return {
    key,
    displayName: spec.displayName,
    mode: proxy.mode,
    origin,
    host,
    path: pathname.replace(/\/$/, ''),
    upstreamUrl: proxy.upstreamUrl,
    cookieDomain: proxy.cookieDomain,
    publicPaths: proxy.publicPaths,
    headers: proxy.headers,
    entitlements: makesEntitlements(client.authServer, metadata.labels),
    upstream: {
      tls: proxy.upstream.tls,
      hostHeader: proxy.upstream.hostHeader,
      connectMs: ms(timeouts.connect),
      responseMs: ms(timeouts.response),
      idleMs: ms(timeouts.idle),
    },
    access: spec.access,
    client: { name: spec.displayName, clientId: client.clientId, labels: metadata.labels },
    clientSecret: outpostClientSecret(rootSecret, { issuerUrl, clientId: client.clientId, outpost }).reveal(),
    authMethod: client.tokenEndpointAuthMethod,
    pushed: client.policy.requirePushedAuthorizationRequests,
    acr: client.policy.acr,
    requiredFactors: client.policy.requiredFactors,
    issuer: { url: issuerUrl, displayName: client.authServer.displayName },
    cookieKey: deriveKey(rootSecret, cookiePurpose(proxy, key, { issuerUrl, outpost })).toString('base64url'),
    problem: snapshot.problemOfApplication(application)?.message,
  }
}

const makesEntitlements = ({ claimMappers }: Pick<ResolvedAuthServer, 'claimMappers'>, labels: Record<string, string>): boolean =>
  claimMappers.some(({ spec }) => isForClient(spec, labels) && spec.claims.some(({ name }) => name === 'entitlements'))

/** Another key at each Outpost: with that of one nobody makes cookies for another, also not under the same domain. */
const cookiePurpose = (
  { mode, cookieDomain }: ProxySpec,
  key: string,
  { issuerUrl, outpost }: { issuerUrl: string; outpost: string | undefined },
): string => {
  const purpose = mode === 'forward_domain' ? `outpost_cookie domain ${cookieDomain} ${issuerUrl}` : `outpost_cookie ${key} ${issuerUrl}`
  return outpost === undefined ? purpose : `${purpose} at ${outpost}`
}

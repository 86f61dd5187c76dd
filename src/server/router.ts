/**
 * The first to see a request. It settles, once and for all, who is calling (network), for whom (AuthServer) and which part answers;
 * what comes after never reads Host, Forwarded or X-Forwarded headers again. A header that claims any of it is dropped,
 * and set anew from what was found, so that a library that insists on reading them reads the truth.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { AuthServerRef, Caller, GuardedCaller } from '#/lib/http.ts'

export type Part = 'oidc' | 'core'

/** Of every outpost, on whatever host. */
const outpostPrefix = '/outpost.signet/'

export type Route =
  | { kind: 'part'; part: Part; caller: Caller; url: string }
  | { kind: 'outpost'; caller: GuardedCaller; url: string }
  | { kind: 'refused'; status: 400 | 421; detail: string; requestId: string }

export interface RouterOptions {
  /** The AuthServer whose issuerUrl is the longest that host and path begin with. */
  authServerFor: (host: string, path: string) => AuthServerRef | undefined
  /** Length of the path under which an application behind the outpost has this host and path; undefined when none has. */
  guardedPrefix: (host: string, path: string) => number | undefined
  isTrustedProxy: (address: string) => boolean
}

const hostPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i
const requestIdPattern = /^[\w.-]{8,128}$/

/** Pure but for the new request id: decides, changes nothing. */
export const route = (request: IncomingMessage, { authServerFor, guardedPrefix, isTrustedProxy }: RouterOptions): Route => {
  const { headers, rawHeaders } = request
  const peer = plainAddress(request.socket.remoteAddress ?? '')
  const isTrusted = isTrustedProxy(peer)
  const requestId = (isTrusted && matching(headers['x-request-id'], requestIdPattern)) || randomUUID()
  const given = parseTarget(request.url ?? '')
  if (!given) return { kind: 'refused', status: 400, detail: 'the request target is not a path', requestId }
  const host = (isTrusted && last(headers['x-forwarded-host'])) || given.host || headers.host || ''
  // Of several hosts we would take the first, and the next server perhaps the last (RFC 9112 section 3.2).
  if (hostLines(rawHeaders) > 1) return { kind: 'refused', status: 400, detail: 'there is more than one Host header', requestId }
  if (!hostPattern.test(host)) return { kind: 'refused', status: 400, detail: 'the Host header is missing or malformed', requestId }
  const network = isTrusted ? personAddress(peer, headers['x-forwarded-for'], isTrustedProxy) : peer
  const asked = host.toLowerCase()
  const target = metadataBelowIssuer(given, (path) => authServerFor(asked, path))
  const guarded: Route = { kind: 'outpost', url: target.url, caller: { network, requestId, host: asked, isTrusted } }
  if (target.path.startsWith(outpostPrefix)) return guarded
  const authServer = authServerFor(asked, target.path)
  const prefix = guardedPrefix(asked, target.path)
  if (prefix !== undefined && prefix >= (authServer?.pathPrefix.length ?? 0)) return guarded
  if (!authServer) return { kind: 'refused', status: 421, detail: 'no AuthServer has this host and path in its issuerUrl', requestId }
  const url = target.url.slice(authServer.pathPrefix.length)
  const path = target.path.slice(authServer.pathPrefix.length)
  return {
    kind: 'part',
    part: isOidc(path) ? 'oidc' : 'core',
    url: url.startsWith('/') ? url : `/${url}`,
    caller: { network, requestId, authServer },
  }
}

const hostLines = (rawHeaders: readonly string[]): number => {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}

const metadataPath = '/.well-known/oauth-authorization-server'

const isOidc = (path: string) => path.startsWith('/oauth2/') || path === '/.well-known/openid-configuration' || path === metadataPath

/** For an issuer with a path, RFC 8414 section 3.1 has the metadata's path before that of the issuer: the same as behind it. */
const metadataBelowIssuer = (
  target: { url: string; path: string },
  authServerFor: (path: string) => AuthServerRef | undefined,
): { url: string; path: string } => {
  if (!target.path.startsWith(`${metadataPath}/`)) return target
  const issuerPath = target.path.slice(metadataPath.length)
  if (authServerFor(issuerPath)?.pathPrefix !== issuerPath) return target
  const path = `${issuerPath}${metadataPath}`
  return { path, url: `${path}${target.url.slice(target.path.length)}` }
}

/** What only a proxy may say: who is calling, for what address, as whom, with which certificate. Nothing behind the router asks for the last two. */
const claims =
  /^(?:forwarded$|x[-_](?:forwarded|signet|real[-_]ip|client|ssl|tls|original|rewrite|override|http[-_]host)|(?:ssl|tls)[-_]client|client[-_](?:cert|ip)|remote[-_])/

/** Makes the headers say what was found. */
export const settleHeaders = (request: IncomingMessage, caller: Caller): void => {
  const { headers } = request
  for (const name in headers) if (claims.test(name)) delete headers[name]
  const issuer = caller.authServer.issuerUrl
  const schemeEnd = issuer.indexOf('://')
  headers['x-forwarded-proto'] = issuer.slice(0, schemeEnd)
  headers['x-forwarded-host'] = issuer.slice(schemeEnd + 3, issuer.length - caller.authServer.pathPrefix.length)
  headers['x-forwarded-for'] = caller.network
}

/** Origin form, or absolute form (RFC 9112 section 3.2.2), whose authority then counts instead of Host. */
export const parseTarget = (url: string): { url: string; path: string; host?: string } | undefined => {
  // No fragment, nothing but visible ASCII: readers of a url disagree about those, and a path that one checks must be the path that another serves.
  if (!/^[!"$-~]+$/.test(url)) return undefined
  if (url.startsWith('/')) return { url, path: pathOf(url) }
  const absolute = /^https?:\/\/([^/?#@]+)(\/[^#]*)?$/i.exec(url)
  if (!absolute?.[1]) return undefined
  const rest = absolute[2] ?? '/'
  return { url: rest, path: pathOf(rest), host: absolute[1] }
}

const pathOf = (url: string) => {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

/** The last address of X-Forwarded-For that is no proxy of ours: what stands before it, anyone may have written. */
const personAddress = (peer: string, forwardedFor: string | string[] | undefined, isTrustedProxy: (address: string) => boolean): string => {
  const hops = (Array.isArray(forwardedFor) ? forwardedFor.join(',') : (forwardedFor ?? '')).split(',').slice(-20)
  let person = peer
  for (const hop of hops.reverse()) {
    const address = plainAddress(hop.trim())
    if (!/^[0-9a-f:.]{2,45}$/i.test(address)) break
    person = address
    if (!isTrustedProxy(address)) break
  }
  return person
}

const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/, '')

const last = (header: string | string[] | undefined) => (Array.isArray(header) ? header.at(-1) : header)?.split(',').at(-1)?.trim()

const matching = (header: string | string[] | undefined, pattern: RegExp) =>
  typeof header === 'string' && pattern.test(header) ? header : undefined

/** Headers on their way to an application and back. */
import type { IncomingMessage } from 'node:http'
import { asRead, hopByHop, saidByProxies } from '#/kinds/header_name.ts'
import type { GuardedApplication } from './core.ts'
import { isIdentityHeader } from './identity_headers.ts'

const named = (connection: string | undefined): Set<string> =>
  new Set(
    (connection ?? '')
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  )

/** What an application is told, or would believe, by no one outside. */
const isFromOutside = (name: string, stated: ReadonlySet<string>): boolean => {
  const read = asRead(name)
  return saidByProxies.test(read) || stated.has(read) || isIdentityHeader(name)
}

/** Set anew, whatever Connection says of them: a body without a bound would be read as the next request (RFC 9112 section 11.2). */
const framing = new Set(['host', 'expect', 'content-length'])

export interface Told {
  network: string
  requestId: string
  identity: Record<string, string>
  /** Names, as they are read, that only an outpost says. */
  stated: ReadonlySet<string>
  /** In place of what the browser sent; '' for none. */
  authorization: string | undefined
}

/** Name and value in turn, as they came where they may pass. */
export const requestHeaders = (request: IncomingMessage, application: GuardedApplication, host: string, told: Told): string[] => {
  const { rawHeaders, headers } = request
  const dropped = named(headers.connection)
  const passed: string[] = ['Host', host]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const lower = name.toLowerCase()
    if (framing.has(lower) || hopByHop.has(lower) || dropped.has(lower) || isFromOutside(lower, told.stated)) continue
    if (lower === 'authorization' && told.authorization !== undefined) continue
    if (lower === 'cookie') {
      const left = withoutOurs(rawHeaders[index + 1] as string)
      if (left !== '') passed.push(name, left)
      continue
    }
    passed.push(name, rawHeaders[index + 1] as string)
  }
  const external = new URL(application.origin)
  passed.push(
    'X-Forwarded-For',
    told.network,
    'X-Forwarded-Proto',
    external.protocol.slice(0, -1),
    'X-Forwarded-Host',
    external.host,
    'X-Request-Id',
    told.requestId,
  )
  for (const [name, value] of Object.entries(told.identity)) if (value !== '') passed.push(name, value)
  if (told.authorization) passed.push('Authorization', told.authorization)
  if (headers['transfer-encoding'] !== undefined) passed.push('Transfer-Encoding', 'chunked')
  else if (headers['content-length'] !== undefined) passed.push('Content-Length', headers['content-length'])
  return passed
}

const ours = /^(?:__Host-|__Secure-)?signet_outpost_/

/** An application has no use for sign-ins at outposts, and must not be able to lose them. */
const withoutOurs = (cookies: string): string =>
  cookies
    .split(';')
    .filter((pair) => !ours.test(pair.trim()))
    .join(';')
    .trim()

export const responseHeaders = ({ rawHeaders, headers }: IncomingMessage): string[] => {
  const dropped = named(headers.connection)
  const passed: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const lower = (rawHeaders[index] as string).toLowerCase()
    if (!hopByHop.has(lower) && (!dropped.has(lower) || framing.has(lower)))
      passed.push(rawHeaders[index] as string, rawHeaders[index + 1] as string)
  }
  return passed
}

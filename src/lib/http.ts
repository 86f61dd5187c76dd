import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** What the router found out about a request, before anything else sees it. Headers from outside are never asked again for these. */
export interface Caller {
  /** The person's address: the peer's, or with trusted proxies the last untrusted one of X-Forwarded-For. */
  network: string
  requestId: string
  /** The AuthServer whose issuerUrl the request's host and path begin with. */
  authServer: AuthServerRef
}

export interface AuthServerRef {
  namespace: string
  name: string
  /** Without a slash at its end. */
  issuerUrl: string
  /** Path of issuerUrl without a slash at its end, '' for the root. It was cut off the request's url. */
  pathPrefix: string
  /** What people read. */
  displayName?: string
}

const callerOf = Symbol('caller')
const guardedCallerOf = Symbol('guarded caller')
const upgradeOf = Symbol('upgrade')

/** What was found out stands on the request itself: an entry of a WeakMap took each of them a hundredth more. */
interface Known {
  [callerOf]?: Caller
  [guardedCallerOf]?: GuardedCaller
  [upgradeOf]?: Upgrade
}

export const setCaller = (request: IncomingMessage & Known, caller: Caller): void => {
  request[callerOf] = caller
}

/** The router sets it for every request that it hands on; a missing one is a broken program. */
export const getCaller = (request: IncomingMessage & Known): Caller => {
  const caller = request[callerOf]
  if (!caller) throw new Error('the request did not come through the router')
  return caller
}

/** What the router found out about a request that is not for an AuthServer but for an outpost. */
export interface GuardedCaller {
  network: string
  requestId: string
  /** Lower case, as the browser sees it. */
  host: string
  /** The peer is one of the trusted proxies. */
  isTrusted: boolean
}

export const setGuardedCaller = (request: IncomingMessage & Known, caller: GuardedCaller): void => {
  request[guardedCallerOf] = caller
}

export const getGuardedCaller = (request: IncomingMessage & Known): GuardedCaller => {
  const caller = request[guardedCallerOf]
  if (!caller) throw new Error('the request did not come through the router')
  return caller
}

/** Undefined for a request that no part was chosen for. */
export const requestIdOf = (request: IncomingMessage & Known): string | undefined =>
  (request[callerOf] ?? request[guardedCallerOf])?.requestId

/** The bytes that came after a request to change the protocol, and its connection: `response` writes to it as to any other. */
export interface Upgrade {
  socket: Duplex
  head: Buffer
}

export const setUpgrade = (request: IncomingMessage & Known, upgrade: Upgrade): void => {
  request[upgradeOf] = upgrade
}

/** Undefined for a plain request. */
export const getUpgrade = (request: IncomingMessage & Known): Upgrade | undefined => request[upgradeOf]

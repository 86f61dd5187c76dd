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

const callers = new WeakMap<IncomingMessage, Caller>()

export const setCaller = (request: IncomingMessage, caller: Caller): void => {
  callers.set(request, caller)
}

/** The router sets it for every request that it hands on; a missing one is a broken program. */
export const getCaller = (request: IncomingMessage): Caller => {
  const caller = callers.get(request)
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

const guardedCallers = new WeakMap<IncomingMessage, GuardedCaller>()

export const setGuardedCaller = (request: IncomingMessage, caller: GuardedCaller): void => {
  guardedCallers.set(request, caller)
}

export const getGuardedCaller = (request: IncomingMessage): GuardedCaller => {
  const caller = guardedCallers.get(request)
  if (!caller) throw new Error('the request did not come through the router')
  return caller
}

/** Undefined for a request that no part was chosen for. */
export const requestIdOf = (request: IncomingMessage): string | undefined =>
  (callers.get(request) ?? guardedCallers.get(request))?.requestId

/** The bytes that came after a request to change the protocol, and its connection: `response` writes to it as to any other. */
export interface Upgrade {
  socket: Duplex
  head: Buffer
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>()

export const setUpgrade = (request: IncomingMessage, upgrade: Upgrade): void => {
  upgrades.set(request, upgrade)
}

/** Undefined for a plain request. */
export const getUpgrade = (request: IncomingMessage): Upgrade | undefined => upgrades.get(request)

/**
 * Calls to addresses that someone else wrote down. Only public addresses may be reached, and the networks an operator allows; the check
 * is on the address really connected to, so neither a name that resolves to something private nor one that changes its mind gets through.
 * Redirects are connections of their own and are checked alike.
 */
import { lookup as resolve } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import type { Agent } from 'undici'
import { networkMatcher } from './config.ts'

/** Not public, by IANA's special-purpose registries (RFC 6890 and its followers). */
const special = new BlockList()
for (const network of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]) {
  const [address = '', bits] = network.split('/')
  special.addSubnet(address, Number(bits), 'ipv4')
}
for (const network of [
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]) {
  const [address = '', bits] = network.split('/')
  special.addSubnet(address, Number(bits), 'ipv6')
}

/** Where cloud machines ask for their own credentials: reached only when the operator names exactly them. */
const metadataAddresses = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '100.100.100.200',
  '168.63.129.16',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
])

/** Loopback and private networks: the default where the database is embedded. */
export const privateNetworks = ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

export class OutboundRefused extends Error {}

/** Whether an address may be called, given the networks allowed beside the public ones. */
export const outboundMatcher = (allowed: readonly string[]): ((address: string) => boolean) => {
  const isAllowed = networkMatcher(allowed)
  const isNamed = networkMatcher(allowed.filter((entry) => metadataAddresses.has(entry.split('/')[0] ?? '')))
  return (address) => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
    const family = isIP(plain)
    if (!family) return false
    if (metadataAddresses.has(plain.toLowerCase())) return isNamed(plain)
    // NAT64 reaches whatever IPv4 address it carries.
    if (/^64:ff9b::/i.test(plain)) return isAllowed(plain)
    return isAllowed(plain) || !special.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }
}

export interface OutboundOptions {
  allowed: readonly string[]
  /** Milliseconds for the whole call. */
  timeoutMs?: number
  /** Bytes of an answer, packed and unpacked. */
  maxBytes?: number
}

export interface Outbound {
  fetch: typeof globalThis.fetch
  close(): Promise<void>
}

export const openOutbound = ({ allowed, timeoutMs = 5_000, maxBytes = 1024 * 1024 }: OutboundOptions): Outbound => {
  const mayCall = outboundMatcher(allowed)
  let opened: Promise<Opened> | undefined
  return {
    // undici's own fetch and Response, which do what those of the platform do.
    fetch: (async (url: string, options: RequestInit = {}) => {
      opened ??= openAgent({ mayCall, timeoutMs, maxBytes })
      const { agent, undici } = await opened
      const response = await undici.fetch(url, {
        ...(options as object),
        dispatcher: agent,
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(options.signal ? [options.signal] : [])]),
      })
      const { body, status, statusText, headers } = response
      // The agent counts what comes over the wire, and a megabyte of that unpacks to a thousand.
      return body === null ? response : new undici.Response(body.pipeThrough(counting(maxBytes)), { status, statusText, headers })
    }) as unknown as typeof globalThis.fetch,
    close: async () => (await opened)?.agent.close(),
  }
}

/** Fails when more comes through than that. */
const counting = (maxBytes: number): TransformStream<Uint8Array, Uint8Array> => {
  let size = 0
  return new TransformStream({
    transform: (part, controller) => {
      size += part.byteLength
      if (size > maxBytes) controller.error(new OutboundRefused(`the answer has more than ${maxBytes} bytes`))
      else controller.enqueue(part)
    },
  })
}

interface Opened {
  undici: typeof import('undici')
  agent: Agent
}

/** With the first call, which many a server never makes: the library is a tenth of all that a start would load. */
const openAgent = async ({
  mayCall,
  timeoutMs,
  maxBytes,
}: Required<Pick<OutboundOptions, 'timeoutMs' | 'maxBytes'>> & { mayCall: (address: string) => boolean }): Promise<Opened> => {
  const undici = await import('undici')
  const connect = undici.buildConnector({
    timeout: timeoutMs,
    // A name is resolved once, and what is connected to is what was looked at.
    lookup: (hostname, options, done) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        if (error) return done(error, '', 0)
        const reachable = addresses.filter(({ address }) => mayCall(address))
        const first = reachable[0]
        if (!first) return done(refusal(hostname), '', 0)
        // With `all` the answer is a list, which the callback's type leaves out.
        if (options.all) return (done as unknown as (error: null, list: typeof reachable) => void)(null, reachable)
        done(null, first.address, first.family)
      })
    },
  })
  const agent = new undici.Agent({
    connect: (options, done) => {
      const host = options.hostname.replace(/^\[|\]$/g, '')
      if (isIP(host) && !mayCall(host)) return done(refusal(host), null)
      connect(options, (...result) => {
        const [error, socket] = result
        if (error) return done(error, null)
        if (mayCall(socket.remoteAddress ?? '')) return done(null, socket)
        socket.destroy()
        done(refusal(host), null)
      })
    },
    maxResponseSize: maxBytes,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 4_000,
  })
  return { undici, agent }
}

const refusal = (host: string) => new OutboundRefused(`${host} is not a public address and not in OUTBOUND_ALLOW`)

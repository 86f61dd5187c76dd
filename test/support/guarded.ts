/** Applications behind an outpost, as a story needs them: hosts that all lead to this machine, a program that tells what it was told, and a browser. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newVisitor, type Visitor, walk } from './http.ts'
import type { Signet } from './signet.ts'

export interface Told {
  method: string
  url: string
  headers: IncomingHttpHeaders
  /** Name and value in turn, as they came. */
  raw: string[]
}

export interface Upstream {
  port: number
  server: Server
  /** What it was asked last. */
  last(): Told | undefined
  stop(): Promise<void>
}

/** An application that knows nothing of sign-in: it answers what it was asked, as JSON, unless `handle` answers otherwise. */
export const startUpstream = async (handle?: (request: IncomingMessage, response: ServerResponse) => boolean): Promise<Upstream> => {
  let last: Told | undefined
  // It is told of many groups.
  const server = createServer({ maxHeaderSize: 64 * 1_024 }, (asked, response) => {
    last = { method: asked.method ?? '', url: asked.url ?? '', headers: asked.headers, raw: asked.rawHeaders }
    if (handle?.(asked, response)) return
    asked.resume()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(last))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    server,
    last: () => last,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export interface Asked {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

export interface Asking {
  method?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

/** One request to a port of this machine, with whatever Host and path, neither of which anything here makes tidy. */
export const ask = (port: number, host: string, path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Asked> =>
  new Promise((resolve, reject) => {
    const out = request(
      { host: '127.0.0.1', port, method, path, headers: { host, ...headers }, agent: false, maxHeaderSize: 64 * 1_024 },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }))
      },
    )
    out.on('error', reject)
    out.end(body)
  })

export const page = { accept: 'text/html', 'sec-fetch-mode': 'navigate' }

/** A browser at applications: cookies by host, and by the domain that a host says. */
export const openGuest = (port: number) => {
  const jar = new Map<string, { domain: string; name: string; value: string; path: string }>()
  const bare = (host: string) => host.split(':')[0] ?? ''
  const cookies = (host: string, path: string) =>
    [...jar.values()]
      .filter(({ domain, path: under }) => (bare(host) === domain || bare(host).endsWith(`.${domain}`)) && path.startsWith(under))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  const keep = (host: string, lines: string[] = []) => {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(/; */)
      const name = pair.slice(0, pair.indexOf('='))
      const value = pair.slice(pair.indexOf('=') + 1)
      const given = Object.fromEntries(attributes.map((text) => [text.split('=')[0]?.toLowerCase(), text.split('=')[1] ?? '']))
      const cookie = { domain: given.domain || bare(host), name, value, path: given.path || '/' }
      const key = `${cookie.domain} ${cookie.path} ${name}`
      if (given['max-age'] === '0' || value === '') jar.delete(key)
      else jar.set(key, cookie)
    }
  }
  const open = async (host: string, path: string, { headers = {}, ...rest }: Asking = {}): Promise<Asked> => {
    const sent = cookies(host, path.split('?')[0] ?? path)
    const answer = await ask(port, host, path, { ...rest, headers: { ...page, ...(sent ? { cookie: sent } : {}), ...headers } })
    keep(host, answer.headers['set-cookie'])
    return answer
  }
  return { open, cookies, jar }
}

export type Guest = ReturnType<typeof openGuest>

/**
 * From the outpost's redirect through the AuthServer back to the application. Answers where that ends. `visitor`: a browser at the AuthServer that
 * may be signed in there already.
 */
export const signIn = async (
  signet: Signet,
  guest: Guest,
  {
    host,
    start,
    answers,
    visitor = newVisitor(signet.issuer),
  }: { host: string; start: string; answers: Record<string, string>; visitor?: Visitor },
): Promise<string> => {
  const begun = await guest.open(host, start)
  const location = begun.headers.location ?? ''
  if (!location.startsWith(signet.issuer)) throw new Error(`the outpost answered ${begun.status} ${location} ${begun.body.slice(0, 300)}`)
  const end = await walk(visitor, await visitor.open(location), answers)
  if (!end.left) throw new Error(`the sign-in ended at ${end.url} (${end.status}): ${end.text.slice(0, 300)}`)
  const back = await guest.open(host, `${end.left.pathname}${end.left.search}`)
  if (back.status !== 302) throw new Error(`the callback answered ${back.status}: ${back.body.slice(0, 500)}`)
  return back.headers.location ?? ''
}

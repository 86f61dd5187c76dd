import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'

export interface Outgoing {
  method: string
  headers: Record<string, string>
  body?: string
  patienceMs: number
  /**
   * Address that a name of this machine stands for. Whoever listens on `[::1]:9000` gets what is sent to `localhost:9000` although
   * `127.0.0.1:9000` is ours.
   */
  connect?: string | undefined
}

const largestAnswer = 256 * 1_024 * 1_024

/** A request whose answer is taken as it is: no redirect is followed, so that a token goes to one address only. */
export const send = (
  address: string,
  { method, headers, body, patienceMs, connect }: Outgoing,
): Promise<{ status: number; text: string }> => {
  const url = new URL(address)
  const isOfThisMachine = url.hostname === 'localhost' || url.hostname.endsWith('.localhost')
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(
      url,
      {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
        signal: AbortSignal.timeout(patienceMs),
        agent: false,
        ...(connect !== undefined && isOfThisMachine ? { lookup: always(connect) } : {}),
      },
      (response) => {
        const parts: Buffer[] = []
        let size = 0
        response.on('data', (part: Buffer) => {
          size += part.length
          if (size > largestAnswer) request.destroy(new Error('the answer is too large'))
          else parts.push(part)
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }))
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

const always =
  (address: string): LookupFunction =>
  (_name, { all }, answer) => {
    if (all) answer(null, [{ address, family: isIP(address) }])
    else answer(null, address, isIP(address))
  }

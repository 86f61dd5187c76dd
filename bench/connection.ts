/**
 * One keep-alive HTTP/1.1 connection, one request at a time, with as little work around it as can be: what the generator spends is
 * missing from the servers it measures on the same machine. It understands what servers of this kind answer (Content-Length, chunked,
 * no body) and opens itself again when the server closed it between two requests.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Answer {
  status: number
  /** Names in lower case; the values of a repeated one stand in order. */
  headers: Map<string, string[]>
  body: string
  /** Head and body as they came. */
  bytes: number
}

export interface Connection {
  send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer>
  close(): void
}

const answerWithinMs = 30_000

export const openConnection = (origin: string): Connection => {
  const { protocol, hostname, port, host } = new URL(origin)
  const secure = protocol === 'https:'
  let socket: Socket | undefined
  let received: Buffer = Buffer.alloc(0)
  let waiting: { settle: (answer: Answer) => void; fail: (error: Error) => void } | undefined

  const lost = (error: Error) => {
    socket?.destroy()
    socket = undefined
    waiting?.fail(error)
    waiting = undefined
  }
  const open = () =>
    new Promise<Socket>((resolve, reject) => {
      const to = { host: hostname, port: Number(port || (secure ? 443 : 80)) }
      const opened: Socket = secure
        ? connectTls({ ...to, servername: hostname }, () => resolve(opened))
        : connectPlain(to, () => resolve(opened))
      opened.setNoDelay(true).setTimeout(answerWithinMs)
      opened.once('error', reject)
      opened.on('data', (chunk: Buffer) => {
        received = received.length ? Buffer.concat([received, chunk]) : chunk
        const answer = parseAnswer(received)
        if (!answer) return
        received = Buffer.alloc(0)
        const { settle } = waiting ?? {}
        waiting = undefined
        if (answer.headers.get('connection')?.[0] === 'close') {
          opened.destroy()
          socket = undefined
        }
        settle?.(answer)
      })
      const gone = (error: Error) => {
        if (socket === opened) lost(error)
      }
      opened.on('error', gone)
      opened.on('timeout', () => gone(new Error('no answer in time')))
      opened.on('close', () => gone(new Error('the server closed the connection')))
    })

  return {
    send: async (method, path, headers, body) => {
      socket ??= await open()
      const to = socket
      let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`
      for (const name in headers) head += `${name}: ${headers[name]}\r\n`
      if (body !== undefined) head += `content-length: ${Buffer.byteLength(body)}\r\n`
      received = Buffer.alloc(0)
      return new Promise((settle, fail) => {
        waiting = { settle, fail }
        to.write(`${head}\r\n${body ?? ''}`)
      })
    },
    close: () => {
      const to = socket
      socket = undefined
      to?.destroy()
    },
  }
}

/** Undefined while something is missing. */
const parseAnswer = (bytes: Buffer): Answer | undefined => {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const status = Number(statusLine.slice(9, 12))
  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const known = headers.get(name)
    if (known) known.push(value)
    else headers.set(name, [value])
  }
  const begin = end + 4
  if (status === 204 || status === 304) return { status, headers, body: '', bytes: begin }
  const length = headers.get('content-length')?.[0]
  if (length !== undefined) {
    const over = begin + Number(length)
    return bytes.length < over ? undefined : { status, headers, body: bytes.toString('utf8', begin, over), bytes: over }
  }
  if (headers.get('transfer-encoding')?.[0] === 'chunked') return parseChunked(bytes, begin, { status, headers })
  return { status, headers, body: '', bytes: begin }
}

const parseChunked = (bytes: Buffer, begin: number, { status, headers }: Pick<Answer, 'status' | 'headers'>): Answer | undefined => {
  const chunks: Buffer[] = []
  for (let at = begin; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    const from = line + 2
    if (bytes.length < from + size + 2) return undefined
    if (size === 0) return { status, headers, body: Buffer.concat(chunks).toString('utf8'), bytes: from + 2 }
    chunks.push(bytes.subarray(from, from + size))
    at = from + size + 2
  }
}

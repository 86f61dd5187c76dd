/** Requests that no client library would send: bytes over a plain connection. */
import { connect, type Socket } from 'node:net'

const patienceMs = 10_000

/**
 * Everything that comes back until the other side ends, or until `enough` says so; then the connection is cut. Rejects when neither happens. A
 * connection that is reset ends as any other.
 */
export const raw = (
  port: number,
  bytes: string,
  { enough = () => false, opened }: { enough?: (text: string) => boolean; opened?: (socket: Socket) => void } = {},
): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes, 'latin1')
      opened?.(socket)
    })
    let text = ''
    const late = setTimeout(() => {
      socket.destroy()
      reject(new Error(`neither enough nor the end came within ${patienceMs} ms: ${text.slice(0, 500)}`))
    }, patienceMs)
    const done = () => {
      clearTimeout(late)
      socket.destroy()
      resolve(text)
    }
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (enough(text)) done()
    })
    // A reset is an end too; what came before it is judged.
    socket.on('error', done)
    socket.on('close', done)
  })

/** Lines of a request, ended as HTTP/1.1 wants it. */
export const lines = (...parts: string[]): string => `${parts.join('\r\n')}\r\n\r\n`

/** Status codes of the answers in a text, informational ones left out. */
export const statuses = (text: string): number[] =>
  [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map(([, status]) => Number(status)).filter((status) => status >= 200 || status === 101)

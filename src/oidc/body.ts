import type { IncomingMessage } from 'node:http'

const read = new WeakMap<IncomingMessage, Buffer>()

/** The whole body, also when it was read and replayed before; undefined when it is larger than `limit` or breaks off. What is not read is thrown away with the connection. */
export const readBody = (request: IncomingMessage, limit: number): Promise<Buffer | undefined> =>
  new Promise((resolve) => {
    const known = read.get(request)
    if (known) return resolve(known.length > limit ? undefined : known)
    if (Number(request.headers['content-length']) > limit) return resolve(undefined)
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) {
        request.pause()
        resolve(undefined)
      } else chunks.push(chunk)
    })
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })

/** Lets whoever comes after read the body once more, as `body`. */
export const replayBody = (request: IncomingMessage, body: Buffer): void => {
  read.set(request, body)
  request.headers['content-length'] = String(body.length)
  delete request.headers['transfer-encoding']
  Object.defineProperties(request, { readable: { value: true, configurable: true }, iterator: { value: () => [body], configurable: true } })
}

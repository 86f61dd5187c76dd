import type { IncomingMessage } from 'node:http'

/** The whole body; undefined when it is larger than `limit` or breaks off. What is not read is thrown away with the connection. */
export const readBody = (request: IncomingMessage, limit: number): Promise<Buffer | undefined> =>
  new Promise((resolve) => {
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
  request.headers['content-length'] = String(body.length)
  delete request.headers['transfer-encoding']
  Object.defineProperties(request, { readable: { value: true }, iterator: { value: () => [body] } })
}

/** HTTP/2 as a client speaks it, and as none would. */
import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders, type SecureClientSessionOptions } from 'node:http2'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'

export interface Answer2 {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** One request on a connection of its own. `headers` may hold pseudo-headers. */
export const ask2 = (
  port: number,
  headers: OutgoingHttpHeaders,
  { body, ...options }: { body?: string | Buffer } & SecureClientSessionOptions = {},
): Promise<Answer2> =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, servername: 'localhost', ...options })
    const done = (finish: () => void) => {
      session.destroy()
      finish()
    }
    session.on('error', reject)
    const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined })
    let answered: IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    stream.on('response', (given) => {
      answered = given
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', (error) => done(() => reject(error)))
    stream.on('end', () => done(() => resolve({ status: Number(answered[':status']), headers: answered, body: Buffer.concat(chunks) })))
    if (body !== undefined) stream.end(body)
  })

/** A handshake alone: what the server showed. */
export const greet = (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'], ...options }, () =>
      resolve(socket),
    )
    socket.once('error', reject)
  })

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  rst_stream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window_update: 8,
  continuation: 9,
}
export const flags = { endStream: 1, ack: 1, endHeaders: 4 }

/** RFC 9113 section 4.1. */
export const frame = (type: keyof typeof frameTypes, flag: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = frameTypes[type]
  head[4] = flag
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A block of headers as they are given, each a literal without indexing and without Huffman (RFC 7541 section 6.2.2). */
export const headerBlock = (headers: readonly (readonly [name: string, value: string])[]): Buffer =>
  Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]))

const literal = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'latin1')
  const size: number[] = []
  if (bytes.length < 127) size.push(bytes.length)
  else {
    size.push(127)
    let rest = bytes.length - 127
    for (; rest >= 128; rest >>= 7) size.push((rest % 128) + 128)
    size.push(rest)
  }
  return Buffer.concat([Buffer.from(size), bytes])
}

export const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0, 0)])

export interface Frame {
  type: keyof typeof frameTypes | undefined
  flag: number
  stream: number
  payload: Buffer
}

const patienceMs = 10_000

/** Sends bytes after the preface and answers the frames that come, until the server ends the connection or `enough` says so. */
export const rawFrames = async (
  port: number,
  bytes: Buffer,
  { enough = () => false, servername = 'localhost' }: { enough?: (frames: Frame[]) => boolean; servername?: string } = {},
): Promise<Frame[]> => {
  const socket = await greet(port, { servername })
  return new Promise((resolve, reject) => {
    const frames: Frame[] = []
    const read = frameReader(frames)
    const late = setTimeout(() => {
      socket.destroy()
      reject(new Error(`neither enough nor the end within ${patienceMs} ms: ${frames.map(({ type }) => type).join(' ')}`))
    }, patienceMs)
    const done = () => {
      clearTimeout(late)
      socket.destroy()
      resolve(frames)
    }
    socket.on('data', (chunk: Buffer) => {
      read(chunk)
      if (enough(frames)) done()
    })
    socket.on('error', done)
    socket.on('close', done)
    socket.write(Buffer.concat([preface, bytes]))
  })
}

/** Adds the frames in what comes. */
const frameReader = (frames: Frame[]): ((chunk: Buffer) => void) => {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3)
      const names = Object.entries(frameTypes)
      const type = names.find(([, number]) => number === rest[3])?.[0] as Frame['type']
      frames.push({ type, flag: rest[4] ?? 0, stream: rest.readUInt32BE(5), payload: rest.subarray(9, 9 + length) })
      rest = rest.subarray(9 + length)
    }
  }
}

export interface RawConnection {
  frames: Frame[]
  send(...bytes: Buffer[]): void
  /** Of a stream that the server has ended; undefined before. */
  body(stream: number): string | undefined
  /** As a client does that changes its mind: Node's own ends a body before it resets its stream. */
  reset(stream: number, code: number): void
  /** The connection is lost. */
  cut(): void
}

/** After the preface. */
export const openRaw = async (port: number, { servername = 'localhost' } = {}): Promise<RawConnection> => {
  const socket = await greet(port, { servername })
  const frames: Frame[] = []
  socket.on('data', frameReader(frames))
  socket.on('error', () => {})
  const send = (...bytes: Buffer[]) => void socket.write(Buffer.concat(bytes))
  send(preface)
  return {
    frames,
    send,
    body: (stream) => {
      const own = frames.filter((one) => one.stream === stream)
      if (!own.some(({ type, flag }) => (type === 'data' || type === 'headers') && flag & flags.endStream)) return undefined
      return Buffer.concat(own.flatMap(({ type, payload }) => (type === 'data' ? [payload] : []))).toString()
    },
    reset: (stream, code) => {
      const payload = Buffer.alloc(4)
      payload.writeUInt32BE(code)
      send(frame('rst_stream', 0, stream, payload))
    },
    cut: () => socket.destroy(),
  }
}

/** Error codes of the frames that ended a stream or the connection (RFC 9113 section 7). */
export const endings = (frames: readonly Frame[]): string[] =>
  frames.flatMap(({ type, payload }) =>
    type === 'rst_stream' ? [`rst_stream ${payload.readUInt32BE(0)}`] : type === 'goaway' ? [`goaway ${payload.readUInt32BE(4)}`] : [],
  )

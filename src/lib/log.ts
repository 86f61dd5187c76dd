import { writeSync } from 'node:fs'
import { type DestinationStream, pino, symbols } from 'pino'

/** One JSON line per request, task, reconcile; `event` is a fixed dotted name. */
export type Log = ReturnType<typeof openLog>

/** Names under which a library might hand us a secret; what is logged under them is censored. */
const redact = ['authorization', 'cookie', 'set-cookie', 'password', 'client_secret', 'token', 'code', 'refresh_token', 'access_token']

const serviceName = 'signet'

let spelled = { at: 0, text: '' }

/** Spelled once a millisecond. */
const isoTime = (): string => {
  const at = Date.now()
  if (at !== spelled.at) spelled = { at, text: `,"time":"${new Date(at).toISOString()}"` }
  return spelled.text
}

export const openLog = (level: string, destination?: DestinationStream) =>
  pino(
    {
      level,
      base: { 'service.name': serviceName },
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redact.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]), censor: '[secret]' },
    },
    destination ?? standardOutput(),
  )

/**
 * Says members of a JSON object, spelled by the caller, at the level info: for what is said of every request. Nobody looks for secrets among them.
 * Fields spelled one after the other, as pino does it, took a twentieth of a request more.
 */
export const openPlainLines = (log: Log): ((members: string) => void) => {
  const stream = (log as unknown as Record<symbol, DestinationStream>)[symbols.streamSym] as DestinationStream
  const same = `,"service.name":"${serviceName}",`
  return (members) => {
    if (log.isLevelEnabled('info')) stream.write(`{"level":"info"${isoTime()}${same}${members}}\n`)
  }
}

/** What is said within this time is written together: a write for each line took a twentieth of a request under load. */
const gatherMs = 50
/** In bytes, as it is written: a text of hundreds of pieces that are put together last took as long again. */
const gatherBytes = 32 * 1_024
/** While nobody reads, more is left out rather than kept. */
const unreadBytes = 16 * 1_024 * 1_024

/** Of a program that ends: nothing that is merely begun would be finished. A reader that does not read is waited for, but not for long. */
const writeSurely = (bytes: Buffer): void => {
  let left = bytes
  for (let tries = 0; left.length > 0 && tries < 100; ) {
    try {
      left = left.subarray(writeSync(1, left))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      tries++
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}

const standardOutput = (): DestinationStream & { flushSync(): void } => {
  // Its types know of text alone.
  const output = pino.destination({ dest: 1, sync: false, minLength: 0, maxLength: unreadBytes, contentMode: 'buffer' }) as unknown as {
    write(bytes: Buffer): void
    flushSync(): void
  }
  const gathered = Buffer.allocUnsafeSlow(gatherBytes)
  let length = 0
  let soon: NodeJS.Timeout | undefined
  const take = (): Buffer => {
    clearTimeout(soon)
    soon = undefined
    const bytes = Buffer.from(gathered.subarray(0, length))
    length = 0
    return bytes
  }
  const flushSync = () => {
    const bytes = take()
    output.flushSync()
    writeSurely(bytes)
  }
  process.once('exit', flushSync)
  return {
    write: (line) => {
      // A unit of a string is three bytes at most.
      const most = line.length * 3
      if (length > 0 && length + most > gatherBytes) output.write(take())
      if (most > gatherBytes) {
        output.write(Buffer.from(line))
        return
      }
      length += gathered.write(line, length)
      soon ??= setTimeout(() => output.write(take()), gatherMs)
    },
    flushSync,
  }
}

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
const gatherLength = 32 * 1_024
/** While nobody reads, more is left out rather than kept. */
const unreadLength = 16 * 1_024 * 1_024

/** Of a program that ends: nothing that is merely begun would be finished. A reader that does not read is waited for, but not for long. */
const writeSurely = (text: string): void => {
  let left = Buffer.from(text)
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
  const output = pino.destination({ dest: 1, sync: false, minLength: 0, maxLength: unreadLength })
  let gathered = ''
  let soon: NodeJS.Timeout | undefined
  const write = () => {
    clearTimeout(soon)
    soon = undefined
    const lines = gathered
    gathered = ''
    if (lines) output.write(lines)
  }
  const flushSync = () => {
    clearTimeout(soon)
    const lines = gathered
    gathered = ''
    output.flushSync()
    writeSurely(lines)
  }
  process.once('exit', flushSync)
  return {
    write: (line) => {
      gathered += line
      if (gathered.length > gatherLength) write()
      else soon ??= setTimeout(write, gatherMs)
    },
    flushSync,
  }
}

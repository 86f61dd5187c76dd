import { type DestinationStream, pino } from 'pino'

/** One JSON line per request, task, reconcile; `event` is a fixed dotted name. */
export type Log = ReturnType<typeof openLog>

/** Names under which a library might hand us a secret; what is logged under them is censored. */
const redact = ['authorization', 'cookie', 'set-cookie', 'password', 'client_secret', 'token', 'code', 'refresh_token', 'access_token']

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
      base: { 'service.name': 'signet' },
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redact.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]), censor: '[secret]' },
    },
    destination ?? standardOutput(),
  )

/** What is said within this time is written together: a write for each line took a twentieth of a request under load. */
const gatherMs = 20
const gatherLength = 32 * 1_024

const standardOutput = (): DestinationStream & { flushSync(): void } => {
  const output = pino.destination({ dest: 1, sync: false, minLength: 0 })
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
    write()
    output.flushSync()
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

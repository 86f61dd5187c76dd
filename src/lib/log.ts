import { type DestinationStream, pino } from 'pino'

/** One JSON line per request, task, reconcile; `event` is a fixed dotted name. */
export type Log = ReturnType<typeof openLog>

/** Names under which a library might hand us a secret; what is logged under them is censored. */
const redact = ['authorization', 'cookie', 'set-cookie', 'password', 'client_secret', 'token', 'code', 'refresh_token', 'access_token']

export const openLog = (level: string, destination?: DestinationStream) =>
  pino(
    {
      level,
      base: { 'service.name': 'signet' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redact.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]), censor: '[secret]' },
    },
    destination ?? pino.destination({ dest: 1, sync: false, minLength: 0 }),
  )

/** A real mail server of one's own on 127.0.0.1: takes mails and reads them, refuses what it is told to, goes away and comes back. */
import { once } from 'node:events'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { freePort } from './postgres.ts'
import { until } from './signet.ts'

export interface ReceivedMail {
  /** Of the envelope. */
  from: string
  to: string
  /** Lower-case names, unfolded and decoded. */
  headers: Map<string, string>
  subject: string
  messageId: string
  text: string
  html: string
  raw: string
  /** Whether it came over TLS. */
  secure: boolean
  /** Who signed in at this server. */
  user: string | undefined
}

/** What the server answers instead of taking a mail. */
export interface Refusal {
  at: 'connect' | 'from' | 'to' | 'data'
  code: number
  message: string
}

export interface MailServer {
  port: number
  /** For SMTP_URL. */
  url: string
  /** Everything that was taken, in order. */
  received: ReceivedMail[]
  /** Tries that were refused. */
  refused: number
  /** The next mail to this address that was not asked for before, and says this; waits for it. */
  next(to: string, says?: RegExp, withinMs?: number): Promise<ReceivedMail>
  /** From now on; undefined: everything is taken again. */
  refuse(refusal: Refusal | undefined): void
  /** Goes away; `start` brings it back at the same port. */
  stop(): Promise<void>
  start(): Promise<void>
}

export interface MailServerOptions {
  /** STARTTLS and, with `implicitTls`, TLS from the first byte; by a certificate nobody vouches for. Default: no TLS at all. */
  tls?: boolean
  implicitTls?: boolean
  /** Only this one may send. */
  login?: { user: string; password: string }
}

export const startMailServer = async ({ tls = false, implicitTls = false, login }: MailServerOptions = {}): Promise<MailServer> => {
  const port = await freePort()
  const given = new Set<ReceivedMail>()
  let refusal: Refusal | undefined
  let running: SMTPServer | undefined
  const mail: MailServer = {
    port,
    url: `${implicitTls ? 'smtps' : 'smtp'}://127.0.0.1:${port}`,
    received: [],
    refused: 0,
    next: async (to, says = /(?:)/, withinMs = 20_000) => {
      const found = await until(() => mail.received.find((each) => each.to === to && !given.has(each) && says.test(each.text)), {
        withinMs,
        explain: () => `no mail to ${to}; ${mail.received.length} came, to ${mail.received.map((each) => each.to).join(', ')}`,
      })
      given.add(found)
      return found
    },
    refuse: (next) => {
      refusal = next
    },
    stop: async () => {
      const stopped = running
      running = undefined
      if (stopped) await new Promise<void>((resolve) => stopped.close(resolve))
    },
    start: async () => {
      running = new SMTPServer(options)
      running.on('error', () => {})
      await once(running.listen(port, '127.0.0.1'), 'listening')
    },
  }
  const refusedAt = (at: Refusal['at']): Error | undefined => {
    if (refusal?.at !== at) return undefined
    mail.refused++
    return Object.assign(new Error(refusal.message), { responseCode: refusal.code })
  }
  const options: SMTPServerOptions = {
    secure: implicitTls,
    authOptional: !login,
    disabledCommands: [...(tls || implicitTls ? [] : ['STARTTLS']), ...(login ? [] : ['AUTH'])],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 1_000,
    onConnect: (_session, done) => done(refusedAt('connect')),
    onMailFrom: (_address, _session, done) => done(refusedAt('from')),
    onRcptTo: (_address, _session, done) => done(refusedAt('to')),
    onAuth: ({ username, password }, _session, done) =>
      username === login?.user && password === login?.password
        ? done(null, { user: username })
        : done(Object.assign(new Error('5.7.8 no'), { responseCode: 535 })),
    onData: async (stream, session, done) => {
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      const refused = refusedAt('data')
      if (refused) return done(refused)
      const raw = Buffer.concat(chunks).toString('latin1')
      const { mailFrom, rcptTo } = session.envelope
      mail.received.push({
        ...readMail(raw),
        from: mailFrom ? mailFrom.address : '',
        to: rcptTo[0]?.address ?? '',
        raw,
        secure: session.secure,
        user: typeof session.user === 'string' ? session.user : undefined,
      })
      done()
    },
  }
  await mail.start()
  return mail
}

/** As much of RFC 5322, 2045 and 2047 as our own mails use. `raw` holds a byte in each character. */
const readMail = (raw: string): Pick<ReceivedMail, 'headers' | 'subject' | 'messageId' | 'text' | 'html'> => {
  const { headers, body } = splitPart(raw)
  const boundary = /boundary="?([^";]+)"?/.exec(headers.get('content-type') ?? '')?.[1]
  const parts = boundary === undefined ? [{ headers, body }] : body.split(`--${boundary}`).slice(1, -1).map(splitPart)
  const find = (type: string) => parts.find((part) => part.headers.get('content-type')?.startsWith(type))
  return {
    headers,
    subject: headers.get('subject') ?? '',
    messageId: headers.get('message-id') ?? '',
    text: decodeBody(find('text/plain')),
    html: decodeBody(find('text/html')),
  }
}

interface Part {
  headers: Map<string, string>
  body: string
}

const splitPart = (part: string): Part => {
  const text = part.replace(/^\r\n/, '')
  const end = text.indexOf('\r\n\r\n')
  const lines = text
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), decodeWords(line.slice(colon + 1).trim())] as const
    }),
  )
  return { headers, body: text.slice(end + 4) }
}

const quotedPrintable = (text: string): Buffer =>
  Buffer.from(
    text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )

const decodeBody = (part: Part | undefined): string => {
  if (!part) return ''
  const encoding = part.headers.get('content-transfer-encoding')
  const bytes =
    encoding === 'base64'
      ? Buffer.from(part.body, 'base64')
      : encoding === 'quoted-printable'
        ? quotedPrintable(part.body)
        : Buffer.from(part.body, 'latin1')
  return bytes.toString().replaceAll('\r\n', '\n').trim()
}

const decodeWords = (text: string): string =>
  text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, kind: string, word: string) =>
      (kind.toLowerCase() === 'b' ? Buffer.from(word, 'base64') : quotedPrintable(word.replaceAll('_', ' '))).toString('latin1'),
    )
    .replace(/[\x80-\xff]+/g, (bytes) => Buffer.from(bytes, 'latin1').toString())

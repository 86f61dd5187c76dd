/** Hands single mails to the SMTP server of SMTP_URL, over connections that are kept for a while. */
import type { Mailbox } from './mail_address.ts'
import type { Secret } from './secret.ts'
import { parseSmtpUrl } from './smtp_url.ts'

export interface Letter {
  from: Mailbox
  to: string
  subject: string
  text: string
  html: string
  /** With its angle brackets. The same at every try: who receives a mail twice can tell (RFC 5322 section 3.6.4). */
  messageId: string
  date: Date
}

export interface Mailer {
  /** Resolves when the server has taken it; throws a MailError otherwise, within a minute or so. */
  send(letter: Letter, signal?: AbortSignal): Promise<void>
  close(): void
}

/** Says what the server answered and never to whom or what: the words of a server repeat the address. */
export class MailError extends Error {
  /** The server will never take this mail (RFC 5321 section 4.2.1: 5yz). */
  readonly permanent: boolean
  constructor(message: string, permanent: boolean) {
    super(message)
    this.permanent = permanent
  }
}

const sendWithinMs = 60_000

/** The library is read when the first mail is sent: most processes never do. */
export const openMailer = async (smtpUrl: Secret): Promise<Mailer> => {
  const server = parseSmtpUrl(smtpUrl.reveal())
  if (!server) throw new Error('SMTP_URL is not an address of a mail server')
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    pool: true,
    host: server.host,
    port: server.port,
    secure: server.implicitTls,
    requireTLS: server.verified && !server.implicitTls,
    tls: { rejectUnauthorized: server.verified },
    ...(server.login ? { auth: { user: server.login.user, pass: server.login.password.reveal() } } : {}),
    maxConnections: 2,
    // One that was kept may be gone when it is used again. Everything else is tried again by the queue.
    maxRequeues: 1,
    idleTimeout: 20_000,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    dnsTimeout: 10_000,
    socketTimeout: 30_000,
    maxResponseSize: 65_536,
    disableFileAccess: true,
    disableUrlAccess: true,
    logger: false,
  })
  // What fails is told to whoever sends; an error of a connection nobody uses is nobody's.
  transport.on('error', () => {})
  return {
    send: async ({ from, to, subject, text, html, messageId, date }, signal) => {
      const timeout = AbortSignal.timeout(sendWithinMs)
      try {
        await transport.sendMail({
          from: { name: from.name ?? '', address: from.address },
          to: { name: '', address: to },
          subject,
          text,
          html,
          messageId,
          date,
          // No holiday notes and the like (RFC 3834 section 5).
          headers: { 'Auto-Submitted': 'auto-generated' },
          disableFileAccess: true,
          disableUrlAccess: true,
          signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        })
      } catch (error) {
        throw mailError(error)
      }
    },
    close: () => transport.close(),
  }
}

/** Codes and commands, by their form; nothing of what the server wrote. */
const mailError = (error: unknown): MailError => {
  const { code, originalCode, responseCode, response, command } = error as Partial<Record<string, unknown>>
  const named = [originalCode, code].find((name) => typeof name === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(name)) ?? 'unknown reason'
  const during = typeof command === 'string' && /^[A-Z][A-Z0-9 -]{1,20}$/.test(command) ? ` to ${command}` : ''
  if (typeof responseCode === 'number') {
    const enhanced = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(typeof response === 'string' ? response : '')?.[1]
    // A server that does not do STARTTLS says so with 5yz too: that is no word on the mail.
    const permanent = responseCode >= 500 && responseCode < 600 && code !== 'ETLS'
    return new MailError(`the mail server answered ${responseCode}${enhanced ? ` ${enhanced}` : ''}${during} (${named})`, permanent)
  }
  return new MailError(`the mail server took no mail (${named})`, code === 'EMESSAGE' || (code === 'EENVELOPE' && command === 'API'))
}

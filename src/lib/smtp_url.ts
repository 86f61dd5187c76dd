/**
 * Where our mail is handed over. `smtps:` is TLS from the first byte, `smtp:` begins in the clear and goes on by STARTTLS. Mails hold
 * codes and links that open accounts, so the encryption is a condition and not an offer, which whoever sits between could strike out
 * (RFC 8314 section 5, RFC 7435): only a relay on this machine, or `?tls=optional`, does without.
 */
import { Secret } from './secret.ts'
import { decodePart, hostOf } from './url_parts.ts'

export interface SmtpServer {
  host: string
  port: number
  /** TLS from the first byte; else by STARTTLS. */
  implicitTls: boolean
  /** Without it TLS is used when it is offered, and nobody asks whose certificate it is. */
  verified: boolean
  login?: { user: string; password: Secret }
}

export const smtpUrlWanted =
  'wants smtps://user:password@mail.example.com or smtp://… (STARTTLS), what is special in user and password percent-encoded; beside it only ?tls=optional'

/** Undefined when it is not such an address. */
export const parseSmtpUrl = (text: string): SmtpServer | undefined => {
  const url = URL.parse(text)
  if (!url || !/^smtps?:$/.test(url.protocol) || !/^\/?$/.test(url.pathname) || url.hash || !/^(\?tls=optional)?$/.test(url.search))
    return undefined
  const host = hostOf(url)
  const user = decodePart(url.username)
  const password = decodePart(url.password)
  if (host === undefined || user === undefined || password === undefined || !user !== !password || url.port === '0') return undefined
  const implicitTls = url.protocol === 'smtps:'
  return {
    host,
    port: Number(url.port) || (implicitTls ? 465 : 587),
    implicitTls,
    verified: !url.search && !isLoopback(host),
    ...(user ? { login: { user, password: new Secret(password) } } : {}),
  }
}

const isLoopback = (host: string): boolean => /^(127(\.\d{1,3}){3}|::1|(.+\.)?localhost)$/.test(host)

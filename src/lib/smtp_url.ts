/**
 * Where our mail is handed over. `smtps:` is TLS from the first byte, `smtp:` begins in the clear and goes on by STARTTLS. Mails hold
 * codes and links that open accounts, so the encryption is a condition and not an offer, which whoever sits between could strike out
 * (RFC 8314 section 5, RFC 7435): only a relay on this machine, or `?tls=optional`, does without.
 */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { Secret } from './secret.ts'

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
  const host = hostOf(url.hostname)
  const user = decode(url.username)
  const password = decode(url.password)
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

const decode = (text: string): string | undefined => {
  try {
    const decoded = decodeURIComponent(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none belongs into what is sent in a line
    return /[\u0000-\u001f\u007f]/.test(decoded) ? undefined : decoded
  } catch {
    return undefined
  }
}

/** URL takes any text for the host of a scheme it does not know. */
const hostOf = (hostname: string): string | undefined => {
  const literal = /^\[(.+)\]$/.exec(hostname)?.[1]
  if (literal !== undefined) return isIP(literal) === 6 ? literal : undefined
  const ascii = domainToASCII(decode(hostname) ?? '')
  return /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?$/.test(ascii) ? ascii : undefined
}

const isLoopback = (host: string): boolean => /^(127(\.\d{1,3}){3}|::1|(.+\.)?localhost)$/.test(host)

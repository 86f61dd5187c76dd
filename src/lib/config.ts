/**
 * Process settings: one table, read once at start. Product settings are resources and stand elsewhere; nothing is both.
 * Every mistake is reported at once, by name, and never with the value that was given.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { domainOf, type Mailbox, parseMailbox } from './mail_address.ts'
import { parseRedisUrl, redisUrlWanted } from './redis_url.ts'
import { Secret } from './secret.ts'
import { parseSmtpUrl, smtpUrlWanted } from './smtp_url.ts'

interface Row<Value> {
  /** Throws with what a right value looks like. */
  parse: (text: string) => Value
  default: string | undefined
  doc: string
}

const row = <Value>(parse: (text: string) => Value, fallback: string | undefined, doc: string): Row<Value> => ({
  parse,
  default: fallback,
  doc,
})

const wrong = (wanted: string): never => {
  throw new Error(wanted)
}

const text = (value: string) => value || wrong('is empty')
const secret = (value: string) => new Secret(text(value))
const port = (value: string) => {
  const number = Number(value)
  return /^\d{1,5}$/.test(value) && number <= 65_535 ? number : wrong('wants a port from 0 to 65535 (0: any free one)')
}
/** A port whose number other people have to know beforehand. */
const ownPort = (value: string) => port(value) || wrong('wants a port from 1 to 65535')
const httpUrl = (value: string) => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username)
    return wrong('wants an address such as https://sign-in.example.com, without query')
  return value.replace(/\/+$/, '')
}
const urlOf =
  (...schemes: string[]) =>
  (value: string) =>
    URL.canParse(value) && schemes.includes(new URL(value).protocol)
      ? new Secret(value)
      : wrong(`wants an address beginning with ${schemes.map((s) => `${s}//`).join(' or ')}`)
const smtpUrl = (value: string) => (parseSmtpUrl(value) ? new Secret(value) : wrong(smtpUrlWanted))
const redisUrl = (value: string) => (parseRedisUrl(value) ? new Secret(value) : wrong(redisUrlWanted))
const mailbox = (value: string): Mailbox => parseMailbox(value) ?? wrong('wants an address such as Example Ltd <no-reply@example.com>')
const networks = (value: string) => {
  const list = value.split(/[\s,]+/).filter(Boolean)
  for (const entry of list) {
    const [address = '', bits, ...rest] = entry.split('/')
    const width = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0
    if (!width || rest.length || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= width)))
      wrong('wants addresses or networks such as 10.0.0.0/8, fd00::/8')
  }
  return list
}
const level = (value: string) =>
  ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].includes(value)
    ? value
    : wrong('wants fatal, error, warn, info, debug, trace or silent')
const rootSecret = (value: string) =>
  Buffer.byteLength(value) >= 32 ? new Secret(value) : wrong('wants at least 32 bytes, such as openssl rand -base64 48 prints')
const password = (value: string) => (value.length >= 8 ? new Secret(value) : wrong('wants at least 8 characters'))
const token = (value: string) => (value.length >= 20 ? new Secret(value) : wrong('wants at least 20 characters'))
const outpostName = (value: string) => (/^[a-z0-9.-]+\/[a-z0-9.-]+$/.test(value) ? value : wrong('wants NAMESPACE/NAME'))

export const settingsTable = {
  PORT: row(port, '9000', 'Port of the HTTP listener.'),
  HOST: row(text, '0.0.0.0', 'Address the listeners bind to.'),
  BASE_URL: row(httpUrl, undefined, 'Address people use, the issuer of the first AuthServer. Default: http://localhost:PORT.'),
  DATA_DIR: row(text, '.signet', 'Folder of the embedded database and of what `up` makes once.'),
  DATABASE_URL: row(urlOf('postgres:', 'postgresql:'), undefined, 'PostgreSQL 15 or later. Set: no embedded database.'),
  DATABASE_CONNECTIONS: row(
    (value) => (/^\d{1,3}$/.test(value) && Number(value) >= 2 ? Number(value) : wrong('wants a number from 2 to 999')),
    '10',
    'Connections to PostgreSQL at most, per process.',
  ),
  REDIS_URL: row(
    redisUrl,
    undefined,
    'Redis 6 or later, or Valkey, by which servers tell one another what outposts must hear, beside the notices of PostgreSQL: `redis://user:password@host:6379`, or `rediss://…` with TLS. Nothing depends on it.',
  ),
  SECRET_KEY: row(
    rootSecret,
    undefined,
    'Root secret: every key that encrypts at rest is derived from it. `up` makes one and keeps it in DATA_DIR.',
  ),
  BOOTSTRAP_PASSWORD: row(password, undefined, 'Password of the user admin, first start only. Default: a random one, printed once.'),
  BOOTSTRAP_TOKEN: row(token, undefined, 'Becomes an API token with full rights, first start only.'),
  MANIFESTS: row(text, undefined, 'Folder of manifests that is watched and applied.'),
  CERTS_DIR: row(
    text,
    undefined,
    'Folder of certificates, read at start: `NAME.crt` (or `.pem`) with `NAME.key`, `NAME/fullchain.pem` with `NAME/privkey.pem`, or `NAME/tls.crt` with `NAME/tls.key`. Each becomes the KeyPair NAME, which TLS_PORT serves.',
  ),
  TEMPLATES_DIR: row(text, undefined, 'Folder of templates that replace ours, file by file.'),
  MEDIA_DIR: row(text, undefined, 'Folder of uploaded pictures. Default: DATA_DIR/media.'),
  BREACHED_PASSWORDS_DIR: row(
    text,
    undefined,
    'Folder of a list of passwords that have leaked, which none may be: files named for the first five hex digits of a SHA-1 in capitals (`21BD1` or `21BD1.txt`), with lines `SUFFIX:COUNT`. While it can not be read, no password can be set. Unset: none is refused for that.',
  ),
  TLS_PORT: row(port, undefined, 'Port of the HTTPS listener, HTTP/2 and HTTP/1.1. Unset: none.'),
  SMTP_URL: row(
    smtpUrl,
    undefined,
    'Server that takes our mail: `smtps://user:password@host`, or `smtp://…` with STARTTLS, a condition unless the server is on this machine or the address ends in `?tls=optional`. Unset: no mail is sent.',
  ),
  MAIL_FROM: row(mailbox, undefined, 'Sender of our mail, `Name <address>`. Default: no-reply at the host of BASE_URL.'),
  METRICS_PORT: row(port, '9300', 'Port of /metrics.'),
  RPC_PORT: row(port, '9443', 'Port of gRPC.'),
  DEMO_PORT: row(ownPort, '9001', 'Port of the demo application of `up --demo`.'),
  TRUSTED_PROXIES: row(networks, '', 'Addresses or networks whose X-Forwarded headers are believed.'),
  OUTBOUND_ALLOW: row(
    networks,
    undefined,
    'Networks beside the public ones that may be called at an address someone else wrote down. Default with the embedded database: loopback and private ones, else none.',
  ),
  LOG_LEVEL: row(level, 'info', 'fatal, error, warn, info, debug, trace or silent.'),
  TOKEN: row(secret, undefined, 'API token of the command line, or of `signet outpost`.'),
  SERVER: row(httpUrl, undefined, 'Server the command line, or `signet outpost`, talks to.'),
  OUTPOST: row(outpostName, undefined, 'Which Outpost `signet outpost` is, NAMESPACE/NAME. Unset: the only one that its token may be.'),
} satisfies Record<string, Row<unknown>>

type Table = typeof settingsTable
type Name = keyof Table
type Defaulted = { [K in Name]: Table[K] extends Row<infer Value> ? Value : never }
type AlwaysSet =
  | 'PORT'
  | 'HOST'
  | 'DATA_DIR'
  | 'DATABASE_CONNECTIONS'
  | 'METRICS_PORT'
  | 'RPC_PORT'
  | 'DEMO_PORT'
  | 'TRUSTED_PROXIES'
  | 'LOG_LEVEL'
  | 'BASE_URL'
  | 'MAIL_FROM'

/** Keyed by the setting's name without its prefix; undefined where unset and without a default. */
export type Settings = { readonly [K in Name]: K extends AlwaysSet ? Defaulted[K] : Defaulted[K] | undefined }

export class SettingsError extends Error {
  readonly mistakes: string[]
  constructor(mistakes: string[]) {
    super(`These settings are wrong:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}\nSee docs/reference/settings.md.`)
    this.mistakes = mistakes
  }
}

const prefix = 'SIGNET_'

/** Folders that somebody else fills: a process that reads one does not start without it. */
export type FolderSetting = 'MANIFESTS' | 'CERTS_DIR' | 'TEMPLATES_DIR' | 'BREACHED_PASSWORDS_DIR'

const checkFolder = (path: string): void => {
  try {
    if (!statSync(path).isDirectory()) wrong('wants a folder, and that is none: name the folder that holds the files')
    accessSync(path, constants.R_OK | constants.X_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    wrong(
      code === 'ENOENT'
        ? 'wants a folder, and there is none of that name: make it, or leave the setting out'
        : `the folder can not be read (${code}): let the user that runs Signet read it, or leave the setting out`,
    )
  }
}

const isSetting = (name: string): boolean => Object.hasOwn(settingsTable, name)

/**
 * Environment (`SIGNET_PORT`, `SIGNET_PORT_FILE`), overridden by flags (`port`, `database-url`). `folders` are those that the process reads.
 * Throws one SettingsError for all mistakes.
 */
export const readSettings = (
  env: Record<string, string | undefined>,
  flags: Record<string, string> = {},
  folders: readonly FolderSetting[] = [],
): Settings => {
  const mistakes: string[] = []
  const given = new Map<string, { from: string; value: string }>()
  const give = (name: string, one: { from: string; value: string }) => {
    const other = given.get(name)
    // Which of them is meant, nobody can tell.
    if (other) mistakes.push(`${one.from}: ${other.from} is set too`)
    given.set(name, one)
  }
  for (const [key, value] of Object.entries(env)) {
    if (!key.startsWith(prefix) || value === undefined) continue
    const name = key.slice(prefix.length)
    const fileOf = name.endsWith('_FILE') ? name.slice(0, -5) : undefined
    if (isSetting(name)) {
      if (value !== '') give(name, { from: key, value })
    } else if (fileOf && isSetting(fileOf)) {
      if (value === '') continue
      try {
        give(fileOf, { from: key, value: readFileSync(value, 'utf8').replace(/\r?\n$/, '') })
      } catch (error) {
        mistakes.push(`${key}: the file it names can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`)
      }
    } else mistakes.push(`${key}: there is no such setting${nearest(name)}`)
  }
  for (const [flag, value] of Object.entries(flags)) {
    const name = flag.toUpperCase().replaceAll('-', '_')
    if (isSetting(name)) given.set(name, { from: `--${flag}`, value })
    else mistakes.push(`--${flag}: there is no such setting${nearest(name)}`)
  }
  const settings: Record<string, unknown> = {}
  for (const [name, { parse, default: fallback }] of Object.entries(settingsTable) as [string, Row<unknown>][]) {
    const { from, value } = given.get(name) ?? { from: prefix + name, value: fallback }
    if (value === undefined) continue
    try {
      settings[name] = parse(value)
      if (folders.some((folder) => folder === name)) checkFolder(value)
    } catch (error) {
      mistakes.push(`${from}: ${(error as Error).message}`)
    }
  }
  if (mistakes.length) throw new SettingsError(mistakes)
  settings.BASE_URL ??= `http://localhost:${settings.PORT}`
  settings.MAIL_FROM ??= { name: 'Signet', address: `no-reply@${mailHost(String(settings.BASE_URL))}` } satisfies Mailbox
  return settings as Settings
}

/** A bare network address is no domain of mail. */
const mailHost = (base: string): string => {
  const { hostname } = new URL(base)
  return isIP(hostname.replace(/^\[|\]$/g, '')) ? 'localhost' : domainOf(`@${hostname}`)
}

const nearest = (name: string): string => {
  const close = Object.keys(settingsTable).find((known) => known.includes(name) || name.includes(known))
  return close ? ` (did you mean ${prefix}${close}?)` : ''
}

/** Whether an address is in one of the networks. */
export const networkMatcher = (list: readonly string[]): ((address: string) => boolean) => {
  if (list.length === 0) return () => false
  const block = new BlockList()
  for (const entry of list) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) block.addAddress(address, family)
    else block.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
    const family = isIP(plain)
    return family !== 0 && block.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }
}

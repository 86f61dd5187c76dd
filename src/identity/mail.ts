/**
 * Mails to people, queued in the transaction that needs them and sent by the worker (task `send_email`). What a mail says, its link or
 * code above all, lies sealed in the queue: whoever reads the database or a backup of it gets into no account by it.
 */
import { z } from 'zod'
import type { Settings } from '#/lib/config.ts'
import { hasControlCharacters } from '#/lib/control_characters.ts'
import { openVault } from '#/lib/crypto.ts'
import { domainOf, emailPattern, isMailAddress } from '#/lib/mail_address.ts'
import { Problem } from '#/lib/problem.ts'
import { addTask } from '#/lib/queue.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'

/** What someone is told of a thing that was done. */
export interface Seen {
  time: Date
  /** In words, `Firefox, Linux`. */
  device?: string | null
  /** A network address, or the words for one. */
  place?: string | null
  /** Where they can look at it. */
  url: string
}

/** Every mail there is, by the name of its template, and what it is about. */
export interface Mails {
  invitation: { url: string; expiresAt: Date }
  recovery: { url: string; expiresAt: Date }
  email_code: { code: string; expiresAt: Date }
  /** To an address that someone says is theirs: a link to open, or a code to type. */
  email_confirmation: { expiresAt: Date } & ({ url: string } | { code: string })
  /** To the address that is: whether it agrees to another one. */
  email_change: { code: string; address: string; url: string; expiresAt: Date }
  /** To the address that was. */
  email_changed: Seen
  new_device: Seen
  password_changed: Seen
  factor_changed: Seen & { factor: 'totp' | 'static' | 'webauthn' | 'email'; change: 'added' | 'removed' }
}

export type MailName = keyof Mails

export interface NewMail<Name extends MailName> {
  to: string
  template: Name
  /** What the person reads, such as `de-AT`. None: English. */
  locale: string | null
  user: { name: string | null; username: string | null; email: string | null }
  /** What people read of the AuthServer: its displayName. */
  product?: string | undefined
  variables: Mails[Name]
}

export interface MailDeps {
  settings: Pick<Settings, 'SMTP_URL' | 'MAIL_FROM'>
  rootSecret: Secret
}

/** Ask before something is offered that ends in a mail. */
export const canSend = ({ SMTP_URL }: Pick<Settings, 'SMTP_URL'>): boolean => SMTP_URL !== undefined

/** Where something that ends in a mail was asked for all the same. */
export class NoMailServer extends Problem {
  constructor() {
    super('unavailable', { detail: 'No mail can be sent: no mail server is set up (SMTP_URL).', retryAfter: 60 })
  }
}

/** The person who gets it, as far as it may stand in a mail. */
const person = z.object({ name: z.string().nullable(), username: z.string().nullable(), email: z.string().nullable() })

const sealedFields = z.object({
  user: person,
  product: z.string(),
  variables: z.object({
    url: z.string().optional(),
    code: z.string().optional(),
    address: z.string().optional(),
    expiresAt: z.coerce.date().optional(),
    time: z.coerce.date().optional(),
    device: z.string().nullish(),
    place: z.string().nullish(),
    factor: z.string().optional(),
    change: z.string().optional(),
  }),
})

const payloadFields = z.object({
  to: z.string(),
  template: z.string().regex(/^[a-z_]{1,64}$/),
  locale: z.string().nullable(),
  message_id: z.string(),
  queued_at: z.coerce.date(),
  sealed: z.base64(),
})

export type QueuedMail = z.output<typeof sealedFields> & {
  to: string
  template: string
  locale: string | null
  messageId: string
  queuedAt: Date
}

const vaultOf = (rootSecret: Secret) => openVault(rootSecret, 'mail')

/** What is sealed opens in its own mail only, and to the address it was for only. */
const contextOf = (message_id: string, to: string) => `${message_id} ${to}`

/**
 * Queues a mail; it is sent if the transaction commits, and only then. Answers the task's id. Throws a Problem when no mail can be sent
 * (`canSend`) or the address is none.
 */
export const queueMail = async <Name extends MailName>(
  db: Db,
  { to, template, locale, user, product = 'Signet', variables }: NewMail<Name>,
  { settings, rootSecret, now }: MailDeps & { now: Date },
): Promise<string> => {
  if (!canSend(settings)) throw new NoMailServer()
  if (!isMailAddress(to)) throw new Problem('invalid', { errors: [{ pointer: '/email', detail: 'is not an e-mail address' }] })
  const message_id = `<${uuidv7(now)}@${domainOf(settings.MAIL_FROM.address)}>`
  const content = {
    user: { name: nameIn(user.name), username: nameIn(user.username), email: nameIn(user.email) },
    product: line(product, 100),
    variables: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, variable(name, value)])),
  }
  const sealed = vaultOf(rootSecret).seal(JSON.stringify(content), contextOf(message_id, to)).toString('base64')
  return addTask(db, 'send_email', { to, template, locale, message_id, queued_at: now, sealed })
}

/** What was queued; undefined when it is not of that shape. Throws when it was sealed by another root secret, or changed. */
export const openQueuedMail = (payload: unknown, rootSecret: Secret): QueuedMail | undefined => {
  const parsed = payloadFields.safeParse(payload)
  if (!parsed.success || !isMailAddress(parsed.data.to)) return undefined
  const { to, template, locale, message_id, queued_at, sealed } = parsed.data
  const opened = vaultOf(rootSecret).open(Buffer.from(sealed, 'base64'), contextOf(message_id, to)).toString()
  const content = sealedFields.safeParse(JSON.parse(opened))
  return content.success ? { to, template, locale, messageId: message_id, queuedAt: queued_at, ...content.data } : undefined
}

const variable = (name: string, value: unknown): unknown => {
  if (typeof value !== 'string') return value
  if (name !== 'url') return line(value, name === 'address' ? 320 : 200)
  if (!/^https?:$/.test(URL.parse(value)?.protocol ?? '') || value.length > 2_000 || hasControlCharacters(value) || /[\s<>"]/.test(value))
    throw new Error('a mail was to hold a link that is none')
  return value
}

/** One line, so that nobody writes paragraphs of their own into a mail of ours. */
const line = (text: string, most: number): string => {
  const words = text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Z}]+/gu, ' ').trim()
  return [...words].length <= most ? words : `${[...words].slice(0, most - 1).join('')}…`
}

/** What a mail program would make a link of. */
const looksLikeLink = /:\/|\bwww\.|[\p{L}\p{N}]\.\p{L}{2,}/iu

/** Whoever may choose a name could have us send their advertisement to any address: a name that looks like a link is left out. */
const nameIn = (name: string | null): string | null => {
  const words = line(name ?? '', 64)
  if (name && name.length <= 320 && emailPattern.test(name)) return line(name, 320)
  return words && !looksLikeLink.test(words) ? words : null
}

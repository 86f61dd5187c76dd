/** Makes letters of queued mails and sends them: templates, texts and the connection to the mail server, opened once for a process. */
import { recordEvent } from '#/events/record.ts'
import type { QueuedMail } from '#/identity/mail.ts'
import { isLocale, nearestLocales, openCatalogue } from '#/lib/catalogue.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import { type Letter, openMailer } from '#/lib/mail.ts'
import type { Db } from '#/lib/sql.ts'
import { type Filter, openTemplates, type TemplateFault } from '#/lib/template.ts'

export interface Post {
  send(mail: QueuedMail, signal?: AbortSignal): Promise<void>
  close(): void
}

export interface PostOptions {
  db: Db
  log: Log
  clock: Clock
  settings: Pick<Settings, 'SMTP_URL' | 'MAIL_FROM' | 'TEMPLATES_DIR'>
}

/** A template that stays broken is told of once in as long, not with every mail. */
const tellAgainMs = 3_600_000

export const openPost = async ({ db, log, clock, settings }: PostOptions): Promise<Post> => {
  const { SMTP_URL, MAIL_FROM, TEMPLATES_DIR } = settings
  if (!SMTP_URL) throw new Error('SMTP_URL is not set')
  const mailer = await openMailer(SMTP_URL)
  const letters = openLetters({ templatesDir: TEMPLATES_DIR, clock })
  const told = new Map<string, number>()

  const tell = async ({ template, file, line, reason }: TemplateFault): Promise<void> => {
    const now = clock()
    const key = `${file}:${line} ${reason}`
    if (now.getTime() - (told.get(key) ?? Number.NEGATIVE_INFINITY) < tellAgainMs) return
    if (told.size > 500) told.clear()
    told.set(key, now.getTime())
    const name = `email/${template}.liquid`
    log.warn({ event: 'configuration.error', template: name, file, line, detail: reason }, 'our own template stands in')
    await recordEvent(
      db,
      {
        action: 'configuration.error',
        severity: 'error',
        actor: 'send_email',
        target: { kind: 'Template', name: line === undefined ? name : `${name}:${line}` },
        data: { file: file ?? name, ...(line === undefined ? {} : { line }), detail: reason },
      },
      now,
    )
  }

  return {
    send: async (mail, signal) => {
      const { faults, ...content } = letters(mail)
      for (const fault of faults) await tell(fault)
      await mailer.send({ ...content, from: MAIL_FROM, to: mail.to, messageId: mail.messageId, date: mail.queuedAt }, signal)
    },
    close: () => mailer.close(),
  }
}

type Content = Pick<Letter, 'subject' | 'text' | 'html'>

/** Reads the templates; answers what makes subject, text and HTML of a mail, and which templates of the operator's were broken. */
export const openLetters = ({ templatesDir, clock }: { templatesDir?: string | undefined; clock: Clock }) => {
  const catalogue = openCatalogue(templatesDir && `${templatesDir}/locales`)
  let faults: TemplateFault[] = []
  const filters: Record<string, Filter> = {
    t: (key, values, read) => catalogue.pick([String(read('locale'))]).translate(String(key), values),
    /** A point in time, in words of the mail's language. Nobody knows where it is read. */
    moment: (value, _, read) =>
      value instanceof Date
        ? `${new Intl.DateTimeFormat(String(read('locale')), { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(value)} UTC`
        : '',
  }
  const options = { kind: 'email', overrides: templatesDir, clock, filters, onBroken: (fault: TemplateFault) => faults.push(fault) }
  const html = openTemplates(options)
  const plain = openTemplates({ ...options, escape: false })

  return ({ template, locale, user, product, variables }: QueuedMail): Content & { faults: TemplateFault[] } => {
    const wanted = canonical(locale)
    const ours = catalogue.pick([wanted]).locale
    const render = (part: 'subject' | 'text' | 'html') =>
      (part === 'html' ? html : plain).renderNearest(
        [...nearestLocales(wanted).map((each) => `${template}.${each}.${part}`), `${template}.${part}`],
        // A file of an operator's speaks the language in its name, without one that of the person.
        ({ name, ours: isOurs }) => ({ ...variables, user, product, template, locale: isOurs ? ours : (languageOf(name) ?? wanted) }),
      )
    faults = []
    const subject = render('subject')
      .replace(/[\p{Cc}\p{Z}]+/gu, ' ')
      .trim()
      .slice(0, 250)
      .toWellFormed()
    return { subject, text: tidy(render('text')), html: render('html').trim(), faults }
  }
}

/** `recovery.de-AT.text` → `de-AT`. */
const languageOf = (name: string): string | undefined => /^[^.]+\.([^.]+)\.[^.]+$/.exec(name)?.[1]

const canonical = (locale: string | null): string => {
  try {
    return (locale && isLocale(locale) && Intl.getCanonicalLocales(locale)[0]) || 'en'
  } catch {
    return 'en'
  }
}

/** Parts of a template that have nothing to say leave no hole. */
const tidy = (text: string): string =>
  `${text
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`

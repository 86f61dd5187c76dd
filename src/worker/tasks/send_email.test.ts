import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Mails, type NewMail, queueMail } from '#/identity/mail.ts'
import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { addTask, purgeDeadTasks } from '#/lib/queue.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { listEvents } from '#/model/events.ts'
import { type FreshDatabase, freshDatabase } from '../../../test/support/database.ts'
import { until } from '../../../test/support/signet.ts'
import { type MailServer, startMailServer } from '../../../test/support/smtp.ts'
import { type RunningWorker, startWorker } from '../worker.ts'

const rootSecret = new Secret('k'.repeat(48))
let fresh: FreshDatabase
let server: MailServer
let templates: string
let worker: RunningWorker | undefined
let log: string

before(async () => {
  ;[fresh, server] = await Promise.all([freshDatabase(), startMailServer()])
  templates = mkdtempSync(join(tmpdir(), 'signet-mails-'))
  mkdirSync(join(templates, 'email'))
})
beforeEach(() => {
  log = ''
  server.refuse(undefined)
})
afterEach(async () => {
  await worker?.stop()
  worker = undefined
})
after(async () => {
  await server.stop()
  await fresh.drop()
  rmSync(templates, { recursive: true })
})

const settings = () =>
  readSettings({
    SIGNET_SMTP_URL: server.url,
    SIGNET_MAIL_FROM: 'Example <no-reply@example.com>',
    SIGNET_TEMPLATES_DIR: templates,
  })

const start = async (): Promise<void> => {
  const write = (line: string): void => {
    log += line
  }
  worker = await startWorker({
    log: openLog('trace', { write }),
    clock: () => new Date(),
    settings: settings(),
    databaseUrl: fresh.url,
    rootSecret,
  })
}

const link = 'https://sign-in.example.com/flow/recovery?token=sesame'

const queue = <Name extends keyof Mails = 'recovery'>(to: string, changed: Partial<NewMail<Name>> = {}): Promise<string> =>
  fresh.db.transaction((tx) =>
    queueMail(
      tx,
      {
        to,
        template: 'recovery',
        locale: null,
        user: { name: 'Ann Example', username: 'ann', email: to },
        variables: { url: link, expiresAt: new Date(Date.now() + 3_600_000) },
        ...changed,
      } as NewMail<Name>,
      { settings: settings(), rootSecret, now: new Date() },
    ),
  )

interface Job {
  attempts: number
  max_attempts: number
  last_error: string | null
  payload: { message_id?: string }
}

const findJob = (id: string) =>
  fresh.db.maybeOne<Job>(
    sql`select attempts, max_attempts, last_error, payload from graphile_worker._private_jobs where id = ${id}::bigint and locked_at is null`,
  )

/** In the dead letters: no tries left, and nobody is at it. */
const dead = (id: string) =>
  until(async () => {
    const job = await findJob(id)
    return job?.last_error && job.attempts >= job.max_attempts ? job : undefined
  })

const failures = () => listEvents(fresh.db, { action: 'task.failed', limit: 100 })

describe('a mail', () => {
  test('that was queued while no worker ran is sent by the next one, in the language of its person, once', async () => {
    const id = await queue('restart@example.com', { locale: 'de-AT' })
    const message_id = (await findJob(id))?.payload.message_id
    await start()
    const mail = await server.next('restart@example.com')
    assert.equal(mail.messageId, message_id)
    assert.equal(mail.headers.get('from'), 'Example <no-reply@example.com>')
    assert.equal(mail.subject, 'Zurück in Ihr Konto bei Signet')
    assert.ok(mail.text.includes(link))
    assert.match(mail.html, /href="https:\/\/sign-in\.example\.com\/flow\/recovery\?token=sesame"/)
    await until(async () => !(await findJob(id)) && log.includes('task.succeeded'))
    await worker?.stop()
    await start()
    await queue('after@example.com')
    await server.next('after@example.com')
    assert.equal(server.received.filter(({ to }) => to === 'restart@example.com').length, 1)
    assert.doesNotMatch(log, /sesame|(restart|after)@|Ann/)
  })

  test('waits for a mail server that is away, and comes once', async () => {
    await server.stop()
    const id = await queue('later@example.com')
    const message_id = (await findJob(id))?.payload.message_id
    await start()
    const failed = await until(async () => {
      const job = await findJob(id)
      return job?.last_error ? job : undefined
    })
    assert.ok(failed.attempts < failed.max_attempts)
    assert.match(failed.last_error ?? '', /^the mail server took no mail \(ECONNREFUSED\)/)
    await server.start()
    assert.equal((await server.next('later@example.com')).messageId, message_id)
    await until(async () => !(await findJob(id)))
    assert.equal(server.received.filter(({ to }) => to === 'later@example.com').length, 1)
    assert.doesNotMatch(log, /sesame|later@/)
  })

  test('is tried again after a refusal for now', async () => {
    server.refuse({ at: 'data', code: 451, message: '4.3.0 later@example.com' })
    const before = server.refused
    const id = await queue('busy@example.com')
    await start()
    await until(() => server.refused > before)
    server.refuse(undefined)
    await server.next('busy@example.com')
    await until(async () => !(await findJob(id)))
  })

  test('that is refused for good is a dead letter at once, of which an event tells without address or link', async () => {
    server.refuse({ at: 'to', code: 550, message: '5.1.1 <gone@example.com> Ann Example is unknown' })
    const before = server.refused
    const id = await queue('gone@example.com')
    await start()
    const job = await dead(id)
    assert.equal(job.attempts, 1)
    assert.match(job.last_error ?? '', /^the mail server answered 550 5\.1\.1 to RCPT TO/)
    assert.equal(server.refused, before + 1)
    const event = (await failures()).find(({ target_name }) => target_name === id)
    assert.equal(event?.severity, 'error')
    assert.deepEqual(event?.data, {
      task: 'send_email',
      attempts: 1,
      error: 'the mail server answered 550 5.1.1 to RCPT TO (EENVELOPE)',
    })
    assert.doesNotMatch(`${log}${JSON.stringify(event)}${job.last_error}`, /gone@|sesame|Ann/)
    assert.equal(await purgeDeadTasks(fresh.db, new Date(Date.now() - 60_000), 10), 0)
    assert.ok((await purgeDeadTasks(fresh.db, new Date(Date.now() + 60_000), 10)) >= 1)
    assert.equal(await findJob(id), undefined)
  })

  test('whose link has expired is not sent any more', async () => {
    const id = await queue('expired@example.com', { variables: { url: link, expiresAt: new Date(Date.now() - 1) } })
    const odd = await addTask(fresh.db, 'send_email', { to: 'odd@example.com' })
    await start()
    assert.match((await dead(id)).last_error ?? '', /^what it holds has expired meanwhile/)
    assert.match((await dead(odd)).last_error ?? '', /^this is no mail that was queued here/)
    assert.equal(server.received.filter(({ to }) => /^(expired|odd)@/.test(to)).length, 0)
  })

  test("is written by the operator's template, and by ours when that one is broken: an event names file and line, once", async () => {
    const file = join(templates, 'email', 'recovery.subject.liquid')
    writeFileSync(file, 'Harbour: {{ user.username }} until {{ expiresAt | date: "%Y" }}')
    await start()
    await queue('own@example.com')
    assert.match((await server.next('own@example.com')).subject, /^Harbour: ann until 20\d\d$/)
    writeFileSync(file, 'Harbour\n{{ url | shout }}')
    const broken = async (n: number): Promise<boolean> => {
      await queue(`broken${n}@example.com`)
      return (await server.next(`broken${n}@example.com`)).subject === 'Get back into your account at Signet'
    }
    let tries = 0
    await until(async () => broken(++tries), { withinMs: 10_000, everyMs: 250 })
    assert.ok(await broken(++tries))
    const events = await listEvents(fresh.db, { action: 'configuration.error', limit: 10 })
    assert.equal(events.length, 1)
    assert.equal(events[0]?.target_name, 'email/recovery.subject.liquid:2')
    assert.equal(events[0]?.data?.file, file)
    assert.equal(events[0]?.data?.line, 2)
    assert.match(String(events[0]?.data?.detail), /shout/)
  })
})

test('a worker reads what sends mail when it sends the first one', () => {
  const program = `
    import { registerHooks } from 'node:module'
    const read = []
    registerHooks({ load: (url, context, next) => { read.push(url); return next(url, context) } })
    await import(${JSON.stringify(fileURLToPath(new URL('../worker.ts', import.meta.url)))})
    console.log(JSON.stringify(read.filter((url) => /node_modules.(nodemailer|liquidjs)|worker.post\\.ts/.test(url))))`
  const read = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(read), [])
})

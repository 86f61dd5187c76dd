/** What a person meets when something behind the pages is down or too busy, and below a path prefix. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FastifyInstance, fastify } from 'fastify'
import { openPasswordHasher, type PasswordHasher } from '#/identity/passwords.ts'
import { setCaller } from '#/lib/http.ts'
import { openLog } from '#/lib/log.ts'
import { type Db, openDatabase } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { openFlowDeps } from '../../test/support/flow.ts'
import { openPages } from './pages.ts'
import { flowRoutes } from './routes.ts'

const log = openLog('silent')
const pages = openPages({ log })
/** One hash at a time, and nobody may wait. */
const passwords = openPasswordHasher({ concurrency: 1, queueLimit: 0 })
const tenant = { namespace: 'default', name: 'tenant', issuerUrl: 'https://id.example/tenant', pathPrefix: '/tenant' }
let fresh: FreshDatabase
let flowDeps: Awaited<ReturnType<typeof openFlowDeps>>

before(async () => {
  fresh = await freshDatabase()
  flowDeps = await openFlowDeps(fresh.db)
})
after(async () => {
  flowDeps.snapshot.close()
  await passwords.close()
  await fresh.drop()
})

const open = async (db: Db, hasher: PasswordHasher = passwords): Promise<FastifyInstance> => {
  const app = fastify()
  app.addHook('onRequest', async ({ raw }) => setCaller(raw, { network: '192.0.2.1', requestId: 'test', authServer: tenant }))
  await app.register(flowRoutes({ ...flowDeps, db, passwords: hasher, clock: () => new Date(), pages }))
  return app
}

const begin = async (app: FastifyInstance) => {
  const begun = await app.inject('/flow/authentication?next=/tenant/account')
  const cookie = String(begun.headers['set-cookie']).split(';')[0] ?? ''
  const location = String(begun.headers.location)
  const attempt = new URL(location, 'https://id.example').searchParams.get('attempt') ?? ''
  const post = (fields: Record<string, string>) =>
    app.inject({
      method: 'POST',
      url: '/flow/authentication',
      headers: { cookie, origin: 'https://id.example', 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ attempt, ...fields }).toString(),
    })
  return { begun, cookie, location, attempt, post }
}

test('below a path prefix every address and cookie stands below it', async () => {
  const app = await open(fresh.db)
  const { begun, cookie, location, post } = await begin(app)
  assert.match(location, /^\/tenant\/flow\/authentication\?attempt=/)
  assert.match(String(begun.headers['set-cookie']), /; Path=\/tenant; HttpOnly; SameSite=Lax; Secure$/)
  const page = await app.inject({ url: location.slice('/tenant'.length), headers: { cookie } })
  assert.match(page.body, /action="\/tenant\/flow\/authentication"/)
  assert.match(page.body, /href="\/tenant\/static\/pages\./)
  assert.match(page.body, /href="\/tenant\/flow\/authentication\?attempt=[^"]*ui_locales=de"/)
  assert.equal((await post({ stage: 'identification', username: 'ann' })).headers.location, location)
  const outside = await app.inject('/api/v1/flows/invalidation?next=/other')
  assert.deepEqual(outside.json(), { stage: 'done', next: '/tenant/' })
  await app.close()
})

test('too many sign-ins at once: 503, when to come back, and the way back to this very attempt', async () => {
  const app = await open(fresh.db)
  const tabs = await Promise.all(Array.from({ length: 4 }, () => begin(app)))
  for (const { post } of tabs) await post({ stage: 'identification', username: 'ann' })
  const answers = await Promise.all(tabs.map(({ post }) => post({ stage: 'password', password: 'wrong' })))
  const busy = answers.flatMap((answer, index) => (answer.statusCode === 503 ? [{ answer, tab: tabs[index] }] : []))
  assert.ok(busy.length > 0, answers.map(({ statusCode }) => statusCode).join())
  for (const { answer, tab } of busy) {
    assert.ok(Number(answer.headers['retry-after']) >= 1)
    assert.match(answer.body, /One moment, please/)
    assert.ok(answer.body.includes(`href="${tab?.location}"`))
  }
  await app.close()
})

test('without a database: 503 as a page and as problem details', async () => {
  const db = openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' })
  const app = await open(db)
  const page = await app.inject('/flow/authentication')
  assert.deepEqual([page.statusCode, page.headers['retry-after']], [503, '1'])
  assert.match(page.body, /One moment, please/)
  const json = await app.inject('/api/v1/flows/authentication')
  assert.deepEqual([json.statusCode, json.json().code], [503, 'unavailable'])
  assert.doesNotMatch(json.body + page.body, /127\.0\.0\.1|ECONNREFUSED/)
  await app.close()
  await db.close()
})

test('a page that is out of date leads on: at the attempt while it runs, at its end when it is over', async () => {
  const app = await open(fresh.db)
  const { post, location } = await begin(app)
  await post({ stage: 'identification', username: 'ann' })
  const again = await post({ stage: 'identification', username: 'ann' })
  assert.equal(again.statusCode, 409)
  assert.ok(again.body.includes(`href="${location}"`))
  await post({ stage: 'password', decline: 'true' })
  const over = await post({ stage: 'password', password: 'x' })
  assert.equal(over.statusCode, 409)
  assert.ok(over.body.includes('href="/tenant/account"'))
  await app.close()
})

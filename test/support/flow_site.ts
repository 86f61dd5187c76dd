/** The flows alone behind a real listener, with two people: for tests of what pages and JSON answer. The clock is the test's. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { openPages } from '#/flow/pages.ts'
import { flowRoutes } from '#/flow/routes.ts'
import { openPasswordHasher, setPassword } from '#/identity/passwords.ts'
import { createUser } from '#/identity/users.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import { type AuthServerRef, setCaller } from '#/lib/http.ts'
import { openLog } from '#/lib/log.ts'
import { freshDatabase } from './database.ts'
import { openFlowDeps } from './flow.ts'
import type { Form, Page, Visitor } from './http.ts'

export const password = 'correct horse battery'

export const openFlowSite = async () => {
  const fresh = await freshDatabase()
  const { db } = fresh
  const passwords = openPasswordHasher()
  const time = { now: new Date('2026-11-23T12:00:00Z') }
  const flowDeps = await openFlowDeps(db)
  const app = fastify()
  await app.register(flowRoutes({ ...flowDeps, passwords, clock: () => time.now, pages: openPages({ log: openLog('silent') }) }))
  await app.ready()
  const server = createServer((request, response) => {
    // All are of one network, unless a test says otherwise.
    const network = String(request.headers['x-test-network'] ?? '192.0.2.1')
    setCaller(request, { network, requestId: 'test', authServer })
    app.routing(request, response)
  }).listen(0)
  const site = `http://localhost:${(server.address() as AddressInfo).port}`
  const authServer: AuthServerRef = { namespace: 'default', name: 'default', issuerUrl: site, pathPrefix: '', displayName: 'Harbour ID' }
  const makeUser = async (user: { username: string; email?: string; name?: string }): Promise<string> => {
    const { id } = await createUser(db, user, { actor: 'test' }, time.now)
    await setPassword({ db, passwords }, id, password, { actor: 'test', rules: defaultPasswordRules }, time.now)
    return id
  }
  const ann = await makeUser({ username: 'ann', email: 'ann@example.com', name: 'Ann Archer' })
  await makeUser({ username: 'bob' })

  const post = (visitor: Visitor, path: string, body: Record<string, string> | string, headers: Record<string, string> = {}) =>
    visitor.request(site + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof body === 'string' ? body : new URLSearchParams(body).toString(),
    })

  const json = async (visitor: Visitor, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await visitor.request(site + path, {
      ...(body === undefined ? {} : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
      redirect: 'manual',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: (text ? JSON.parse(text) : {}) as Record<string, unknown> & { attempt: string },
    }
  }

  const signIn = async (
    visitor: Visitor,
    username: string,
    secret: string,
    address = '/flow/authentication?next=/after',
  ): Promise<Page> => {
    const first = await visitor.open(site + address)
    assert.equal(first.status, 200)
    const second = await visitor.submit(first, { username })
    assert.equal(second.status, 200, second.text)
    return visitor.submit(second, { password: secret })
  }

  return {
    db,
    flowDeps,
    site,
    authServer,
    /** user_id of ann. */
    ann,
    time,
    pass: (ms: number) => {
      time.now = new Date(time.now.getTime() + ms)
    },
    post,
    json,
    signIn,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      await app.close()
      flowDeps.snapshot.close()
      await passwords.close()
      await fresh.drop()
    },
  }
}

export type FlowSite = Awaited<ReturnType<typeof openFlowSite>>

export const form = (page: Page, index = 0): Form => page.forms[index] ?? assert.fail(`there is no form ${index}: ${page.text}`)

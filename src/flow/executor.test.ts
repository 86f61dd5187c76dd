/** Whatever is posted, in whatever order and in how many tabs: nobody gets in without all they have to prove, and nothing breaks. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { siteOf } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { openPasswordHasher, setPassword } from '#/identity/passwords.ts'
import { createUser } from '#/identity/users.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import { readSettings } from '#/lib/config.ts'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import { storeMailedLink } from '#/model/mailed_links.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { openFlowDeps } from '../../test/support/flow.ts'
import { beginAttempt, browserCookie } from './attempts.ts'
import { postAttempt, type Step, showAttempt } from './executor.ts'
import { getFlow } from './flows.ts'
import type { FlowDeps, FlowRequest } from './stage.ts'

const passwords = openPasswordHasher()
const authServer = { namespace: 'default', name: 'default', issuerUrl: 'http://localhost:9000', pathPrefix: '' }
const secret = 'correct horse battery'
let fresh: FreshDatabase
let deps: FlowDeps
/** Each run has a quarter of an hour of its own, so that no lock-out reaches into the next. */
let now = new Date('2026-11-23T12:00:00Z')

before(async () => {
  fresh = await freshDatabase()
  // Whoever starts over without their link is mailed another one.
  const settings = readSettings({ SIGNET_SMTP_URL: 'smtp://127.0.0.1:2525' })
  deps = { ...(await openFlowDeps(fresh.db)), clock: () => now, passwords, settings }
  for (const username of ['ann', 'bob']) {
    const { id } = await createUser(fresh.db, { username }, { actor: 'test' }, now)
    await setPassword({ db: fresh.db, passwords }, id, `${secret} of ${username}`, { actor: 'test', rules: defaultPasswordRules }, now)
  }
})
after(async () => {
  deps.snapshot.close()
  await passwords.close()
  await fresh.drop()
})

const oneOf = <Value>(...values: Value[]) => fc.constantFrom(...values)
const action = fc.record(
  {
    tab: oneOf(0, 1),
    browser: oneOf('one', 'one', 'one', 'two'),
    flow: oneOf('authentication', 'authentication', 'authentication', 'authorization', 'invalidation'),
    what: oneOf('post', 'post', 'post', 'show', 'decline', 'restart'),
    stage: oneOf('identification', 'password', 'user_login', 'consent', 'user_logout', '', '__proto__', 'constructor'),
    username: oneOf<unknown>('ann', 'bob', 'nobody', '', ' ', '\u0000', 'a'.repeat(400), 7, null, ['ann'], { a: 1 }),
    password: oneOf<unknown>(`${secret} of ann`, 'wrong', '', '\u0000', 'x'.repeat(3_000), 7, null, ['x']),
    together: fc.boolean(),
  },
  { requiredKeys: ['tab', 'browser', 'flow', 'what', 'stage', 'together'] },
)

test('posts in any order, of any values, from two tabs and two browsers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 12 }), async (actions) => {
      now = new Date(now.getTime() + 16 * 60_000)
      const begin = () =>
        beginAttempt(deps, { flow: 'authentication', next: '/', context: {}, authServer, cookies: `${browserCookie}=one` }, now)
      const tabs = [await begin(), await begin()]
      const run = async ({
        tab,
        browser,
        flow: name,
        what,
        stage,
        username,
        password,
      }: (typeof actions)[number]): Promise<Step | Problem> => {
        const request: FlowRequest = {
          authServer,
          browser,
          session: undefined,
          network: '192.0.2.1',
          userAgent: undefined,
          requestId: 'test',
          locales: [],
        }
        const flow = getFlow(deps, authServer, name)
        const attempt = tabs[tab]?.attempt ?? ''
        try {
          if (what === 'show') return await showAttempt(deps, { flow, attempt, request, now })
          const post = { attempt, stage, decline: what === 'decline', restart: what === 'restart', fields: { username, password } }
          return await postAttempt(deps, { flow, post, request, now })
        } catch (error) {
          if (error instanceof Problem && error.status < 500) return error
          throw error
        }
      }
      let waiting: Promise<Step | Problem>[] = []
      const seen: (Step | Problem)[] = []
      for (const [index, next] of actions.entries()) {
        waiting.push(run(next))
        if (next.together && index < actions.length - 1) continue
        seen.push(...(await Promise.all(waiting)))
        waiting = []
      }
      for (const step of seen) {
        if (step instanceof Problem || step.kind !== 'done') continue
        assert.equal(step.facts.username, 'ann')
        assert.deepEqual(step.facts.amr, ['pwd'])
        assert.ok(
          actions.some(
            ({ browser, what, stage, password }) =>
              browser === 'one' && what === 'post' && stage === 'password' && password === `${secret} of ann`,
          ),
        )
        assert.ok(
          actions.some(
            ({ browser, what, stage, username }) =>
              browser === 'one' && what === 'post' && stage === 'identification' && username === 'ann',
          ),
        )
      }
      const ends = seen.filter((step) => !(step instanceof Problem) && (step.kind === 'done' || step.kind === 'deny'))
      assert.ok(ends.length <= tabs.length, 'an attempt ends once')
    }),
    { numRuns: 60 },
  )
})

test('the right name and password in the middle of all that do sign in', async () => {
  now = new Date(now.getTime() + 16 * 60_000)
  const begun = await beginAttempt(
    deps,
    { flow: 'authentication', next: '/x', context: {}, authServer, cookies: `${browserCookie}=one` },
    now,
  )
  const request: FlowRequest = {
    authServer,
    browser: 'one',
    session: undefined,
    network: '192.0.2.1',
    userAgent: 'x',
    requestId: 'test',
    locales: [],
  }
  const flow = getFlow(deps, authServer, 'authentication')
  const post = (stage: string, fields: Record<string, unknown>) =>
    postAttempt(deps, { flow, post: { attempt: begun.attempt, stage, decline: false, restart: false, fields }, request, now })
  assert.equal((await post('identification', { username: 'ann' })).kind, 'ask')
  assert.equal((await post('password', { password: 'wrong' })).kind, 'refused')
  const end = await post('password', { password: `${secret} of ann` })
  assert.equal(end.kind, 'done')
  assert.equal(end.next, '/x')
  assert.ok(end.kind === 'done' && end.session?.kind === 'began')
})

/** Mostly what leads on: else few would ever get to the end. */
const mostly = <Value>(usual: Value, ...others: unknown[]) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant<unknown>(usual) }, oneOf(...others))
const factorAction = fc.record({
  tab: oneOf(0, 1, 2, 3),
  what: oneOf(...Array<'post'>(12).fill('post'), 'show', 'restart'),
  /** Absent: the one at which the tab stands. */
  stage: oneOf(...Array<undefined>(12).fill(undefined), 'password', 'authenticator_validate', 'email', 'password_change', 'user_login'),
  username: mostly('carl', 'ann', null),
  password: mostly(`${secret} of carl`, 'wrong', 7),
  code: mostly(0, 1, 1, 1, 'wrong', '', '\u0000', null, ['x']),
  method: mostly(undefined, 'email', 7),
  credential: mostly(undefined, '', '{', '[]', { id: 'x' }, null),
  together: fc.boolean(),
})

test('whoever has recovery codes needs one each time: at sign-in, whatever was wished for, and by a link that works once', async () => {
  const carl = await createUser(fresh.db, { username: 'carl', email: 'carl@example.com', emailVerified: true }, { actor: 'test' }, now)
  await setPassword({ db: fresh.db, passwords }, carl.id, `${secret} of carl`, { actor: 'test', rules: defaultPasswordRules }, now)
  const factorDeps = { db: fresh.db, rootSecret: deps.rootSecret, site: siteOf(authServer) }
  await fc.assert(
    fc.asyncProperty(fc.array(factorAction, { minLength: 4, maxLength: 40 }), async (actions) => {
      now = new Date(now.getTime() + 16 * 60_000)
      const { kept, codes = [] } = await factors.static.offer(factorDeps, carl, now)
      await factors.static.confirm(factorDeps, carl, { kept }, { actor: 'test' }, now)
      const link = randomToken()
      const expires_at = new Date(now.getTime() + 60_000)
      const mailed = { token_hash: sha256(link), user_id: carl.id, issuer: authServer.issuerUrl, flow_name: 'recovery' }
      await storeMailedLink(fresh.db, { ...mailed, email: 'carl@example.com', expires_at })
      const begin = async (flow: string, more: object = {}) => ({
        flow: getFlow(deps, authServer, flow),
        ...(await beginAttempt(deps, { flow, next: '/', context: {}, authServer, cookies: `${browserCookie}=one`, ...more }, now)),
      })
      const recovery = { token: link }
      const tabs = [
        await begin('authentication'),
        await begin('authentication', { context: { acr_values: ['1fa'] } }),
        await begin('recovery', recovery),
        await begin('recovery', recovery),
      ]
      const base = { authServer, browser: 'one', session: undefined, network: '192.0.2.1', userAgent: undefined, requestId: 'test' }
      const standing: string[] = ['identification', 'identification', 'email', 'email']
      const run = async (action: (typeof actions)[number]): Promise<Step | Problem> => {
        const step = await send(action)
        if (!(step instanceof Problem)) standing[action.tab] = step.kind === 'ask' || step.kind === 'refused' ? step.stage : step.kind
        return step
      }
      const send = async ({ tab, what, code, password, ...more }: (typeof actions)[number]): Promise<Step | Problem> => {
        const { stage = standing[tab] ?? '' } = more
        const { attempt, flow } = tabs[tab] ?? assert.fail()
        const visit = { flow, attempt, request: { ...base, locales: [] }, now }
        try {
          if (what === 'show') return await showAttempt(deps, visit)
          const typed = typeof code === 'number' ? codes[code] : code
          const fields = { ...more, password, passwordRepeat: password, code: typed }
          return await postAttempt(deps, { ...visit, post: { attempt, stage, decline: false, restart: what === 'restart', fields } })
        } catch (error) {
          if (error instanceof Problem && error.status < 500) return error
          throw error
        }
      }
      let waiting: Promise<Step | Problem>[] = []
      const seen: (Step | Problem)[] = []
      for (const [index, next] of actions.entries()) {
        waiting.push(run(next))
        if (next.together && index < actions.length - 1) continue
        seen.push(...(await Promise.all(waiting)))
        waiting = []
      }
      const done = seen.flatMap((step) => (!(step instanceof Problem) && step.kind === 'done' ? [step] : []))
      const used = new Set(actions.flatMap(({ what, code }) => (what === 'post' && typeof code === 'number' ? [code] : [])))
      assert.ok(done.length <= used.size, `${done.length} signed in with ${used.size} codes`)
      assert.ok(done.filter(({ flow }) => flow.name === 'recovery').length <= 1, 'a link works once')
      for (const { facts } of done) {
        assert.deepEqual([facts.username, facts.acr], ['carl', '2fa'])
        assert.ok(['pwd', 'otp', 'mfa'].every((method) => facts.amr?.includes(method)))
      }
    }),
    { numRuns: 60 },
  )
})

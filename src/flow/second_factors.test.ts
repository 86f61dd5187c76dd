/** What a client may wish for, and what a session had before, never takes the place of a proof. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { siteOf } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { openPasswordHasher, setPassword } from '#/identity/passwords.ts'
import { createSession, endSession, findSession } from '#/identity/sessions.ts'
import type { User } from '#/identity/user.ts'
import { createUser } from '#/identity/users.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { openFlowDeps } from '../../test/support/flow.ts'
import { totpCode } from '../../test/support/totp.ts'
import { AttemptOver } from './attempt_over.ts'
import { beginAttempt, browserCookie, stepUp } from './attempts.ts'
import { postAttempt, type Step, showAttempt } from './executor.ts'
import { getFlow } from './flows.ts'
import type { Context, Facts, FlowDeps, FlowRequest } from './stage.ts'

const passwords = openPasswordHasher()
const authServer = { namespace: 'default', name: 'default', issuerUrl: 'http://localhost:9000', pathPrefix: '' }
const password = 'quiet harbour lantern'
const by = { actor: 'test' }
const now = new Date('2026-11-25T12:00:00Z')
const later = new Date(now.getTime() + 60 * 60_000)

describe('second factors', () => {
  let fresh: FreshDatabase
  let deps: FlowDeps
  let ann: User
  let ben: User

  before(async () => {
    fresh = await freshDatabase()
    deps = { ...(await openFlowDeps(fresh.db)), clock: () => now, passwords }
    const make = async (username: string) => {
      const user = await createUser(fresh.db, { username }, by, now)
      await setPassword({ db: fresh.db, passwords }, user.id, password, { ...by, rules: defaultPasswordRules }, now)
      return user
    }
    ann = await make('ann')
    ben = await make('ben')
    const factorDeps = { db: fresh.db, rootSecret: deps.rootSecret, site: siteOf(authServer) }
    const { kept, otpauthUrl = '' } = await factors.totp.offer(factorDeps, ann, now)
    await factors.totp.confirm(factorDeps, ann, { kept, code: totpCode(otpauthUrl, now) }, by, now)
  })
  after(async () => {
    deps.snapshot.close()
    await passwords.close()
    await fresh.drop()
  })

  const begin = async ({ context = {}, facts = {}, session }: { context?: Context; facts?: Facts; session?: string }, at = now) => {
    const cookies = `${browserCookie}=one`
    const { attempt } = await beginAttempt(deps, { flow: 'authentication', next: '/', context, facts, authServer, cookies }, at)
    const request: FlowRequest = {
      authServer,
      browser: 'one',
      session,
      network: '192.0.2.1',
      userAgent: undefined,
      requestId: 'test',
      locales: [],
    }
    const flow = getFlow(deps, authServer, 'authentication')
    return {
      show: (browser = { session }) => showAttempt(deps, { flow, attempt, request: { ...request, ...browser }, now: at }),
      post: (stage: string, fields: Record<string, unknown>) =>
        postAttempt(deps, { flow, post: { attempt, stage, decline: false, restart: false, fields }, request, now: at }),
    }
  }
  const stageOf = (step: Step) => (step.kind === 'ask' || step.kind === 'refused' ? step.stage : step.kind)
  const session = (user: User, at = now) =>
    createSession(
      fresh.db,
      { user_id: user.id, username: user.username, amr: ['pwd'], acr: '1fa', issuer: authServer.issuerUrl, auth_time: seconds(at) },
      at,
    )
  const seconds = (at: Date) => Math.floor(at.getTime() / 1_000)
  const found = async (token: string, at: Date) => {
    const held = await findSession(fresh.db, token, at)
    assert.ok(held)
    return held
  }

  for (const acr_values of [undefined, ['1fa'], ['1fa', '2fa'], ['2fa']])
    it(`are asked of who has one, whatever a client wishes for: ${acr_values}`, async () => {
      const attempt = await begin({ context: acr_values ? { acr_values } : {} })
      await attempt.show()
      await attempt.post('identification', { username: 'ann' })
      assert.equal(stageOf(await attempt.post('password', { password })), 'authenticator_validate')
    })

  it('are not there to be asked for: the session is worth what it was, and no newer', async () => {
    const before = await session(ben)
    const attempt = await begin(
      { context: { acr_values: ['2fa'] }, facts: stepUp(await found(before.token, later)), session: before.token },
      later,
    )
    const step = await attempt.show()
    assert.ok(step.kind === 'done' && step.session?.kind === 'began')
    const after = await found(step.session.token, later)
    assert.equal(after.uid, before.uid)
    assert.equal(after.auth_time, seconds(now))
    assert.deepEqual(after.expiresAt, before.expiresAt)
  })

  it('are asked on top of a session, and no longer than it lasts', async () => {
    for (const end of ['signed out', 'another', 'none'] as const) {
      const held = await session(ben)
      const attempt = await begin({ context: { acr_values: ['2fa'] }, facts: stepUp(await found(held.token, now)), session: held.token })
      if (end === 'signed out') await endSession(fresh.db, held.uid, by, now)
      const token = { 'signed out': held.token, another: (await session(ben)).token, none: undefined }[end]
      await assert.rejects(attempt.show({ session: token }), AttemptOver, end)
    }
  })
})

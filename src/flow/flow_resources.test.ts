/** Flows as an operator writes them: what comes, what is left out, and what happens to an attempt whose condition fails. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openPasswordHasher, setPassword } from '#/identity/passwords.ts'
import { countOutcome } from '#/identity/reputation.ts'
import { createUser } from '#/identity/users.ts'
import { kinds } from '#/kinds/index.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { sql } from '#/lib/sql.ts'
import { applyDocuments } from '#/resources/apply.ts'
import { deleteResource } from '#/resources/change.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { AttemptOver } from './attempt_over.ts'
import { beginAttempt, browserCookie } from './attempts.ts'
import { postAttempt, type Step, showAttempt } from './executor.ts'
import { getFlow } from './flows.ts'
import type { FlowDeps, FlowRequest } from './stage.ts'

const now = new Date('2026-11-25T12:00:00Z')
const authServer = { namespace: 'default', name: 'default', issuerUrl: 'https://sign-in.example.com', pathPrefix: '' }
const password = 'quiet harbour lantern'

describe('a flow as it is written', () => {
  let kernel: Kernel
  let deps: FlowDeps
  const passwords = openPasswordHasher()

  before(async () => {
    kernel = await openKernel(now)
    const { db, snapshot, rootSecret } = kernel
    deps = { db, snapshot, rootSecret, passwords, log: openLog('silent'), clock: () => now, settings: readSettings({}) }
    for (const username of ['ann', 'ben']) {
      const { id } = await createUser(db, { username }, { actor: 'test' }, now)
      await setPassword({ db, passwords }, id, password, { actor: 'test', rules: defaultPasswordRules }, now)
    }
  })
  after(async () => {
    await passwords.close()
    await kernel.drop()
  })

  const write = async (name: string, stages: string) => {
    const manifest = `apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: ${name}, namespace: default }
spec:
  designation: authentication
  stages: [${stages}]`
    const [result] = await applyDocuments(kernel, manifest, { actor: 'test' }, now)
    assert.deepEqual(result?.errors, [])
    await kernel.snapshot.refresh()
  }
  const request = (network = '192.0.2.1'): FlowRequest => ({
    authServer,
    browser: 'one',
    session: undefined,
    network,
    userAgent: undefined,
    requestId: 'test',
    locales: ['en'],
  })
  const begin = async (name: string, from = request()) => {
    const { attempt } = await beginAttempt(deps, { flow: name, next: '/', context: {}, authServer, cookies: `${browserCookie}=one` }, now)
    const flow = () => getFlow(deps, authServer, name)
    return {
      attempt,
      show: () => showAttempt(deps, { flow: flow(), attempt, request: from, now }),
      post: (stage: string, fields: Record<string, unknown> = {}) =>
        postAttempt(deps, { flow: flow(), post: { attempt, stage, decline: false, restart: false, fields }, request: from, now }),
    }
  }
  const stageOf = (step: Step) => (step.kind === 'ask' || step.kind === 'refused' ? step.stage : step.kind)

  it('leaves a stage out unless its condition holds, the first one too', async () => {
    await write(
      'by-network',
      `{ stage: terms, when: 'network == "203.0.113.9"' }, { stage: identification, passkey: false }, { stage: password }`,
    )
    assert.equal(stageOf(await (await begin('by-network')).show()), 'identification')
    const elsewhere = await begin('by-network', request('203.0.113.9'))
    assert.equal(stageOf(await elsewhere.show()), 'terms')
    assert.equal(stageOf(await elsewhere.post('terms')), 'terms')
    assert.equal(stageOf(await elsewhere.post('terms', { accept: 'true' })), 'identification')
  })

  it('does not take an answer for a stage that is left out', async () => {
    const attempt = await begin('by-network')
    await assert.rejects(attempt.post('terms', { accept: 'true' }), AttemptOver)
  })

  it('shows a condition who has proven something, and not who merely typed a name', async () => {
    await write(
      'by-user',
      `{ stage: identification, passkey: false }, { stage: deny, when: 'user.username != ""' }, { stage: password }, { stage: terms, when: 'user.username == "ann"' }, { stage: user_login }`,
    )
    for (const [username, expected] of [
      ['ann', 'terms'],
      ['ben', 'done'],
    ] as const) {
      const attempt = await begin('by-user')
      await attempt.show()
      assert.equal(stageOf(await attempt.post('identification', { username })), 'password')
      assert.equal(stageOf(await attempt.post('password', { password })), expected)
    }
  })

  it('asks more of a network that guesses', async () => {
    await write('by-reputation', `{ stage: captcha, when: 'reputation > 3', difficulty: 8 }, { stage: identification, passkey: false }`)
    assert.equal(stageOf(await (await begin('by-reputation')).show()), 'identification')
    for (let index = 0; index < 5; index += 1) await countOutcome(kernel.db, '198.51.100.7', 'failure', now)
    assert.equal(stageOf(await (await begin('by-reputation', request('198.51.100.7'))).show()), 'captcha')
  })

  it('refuses when a condition fails, and tells an operator which flow it was', async () => {
    await write('broken', `{ stage: identification, passkey: false, when: 'user.attributes.team == "a"' }, { stage: password }`)
    const step = await (await begin('broken')).show()
    assert.ok(step.kind === 'deny' && step.reason === 'configuration_error')
    const [event] = await kernel.db.any<{ target_kind: string; target_name: string }>(
      sql`select target_kind, target_name from events where action = 'configuration.error' order by time desc limit 1`,
    )
    assert.deepEqual(event, { target_kind: 'Flow', target_name: 'broken' })
  })

  it('does after a wrong answer what the stage says', async () => {
    await write('strict', '{ stage: identification, passkey: false }, { stage: password, onRefusal: deny }')
    await write('again', '{ stage: identification, passkey: false }, { stage: password, onRefusal: restart }')
    for (const [name, expected] of [
      ['strict', 'deny'],
      ['again', 'identification'],
    ] as const) {
      const attempt = await begin(name)
      await attempt.post('identification', { username: 'ann' })
      assert.equal(stageOf(await attempt.post('password', { password: 'wrong' })), expected)
    }
  })

  it('takes no row that somebody else wrote', async () => {
    const attempt = await begin('by-user')
    await attempt.show()
    const ann = await kernel.db.one<{ user_id: string }>(sql`select user_id from users where username = 'ann'`)
    await kernel.db.run(
      sql`update flow_attempts set facts = ${JSON.stringify({ user_id: ann.user_id, username: 'ann', amr: ['pwd'] })}, stage_index = 3 where flow_name = 'by-user' and state = 'running'`,
    )
    await assert.rejects(attempt.post('terms', { accept: 'true' }), AttemptOver)
  })

  it('does not go on in a flow that was changed meanwhile: its stages are others', async () => {
    const rest = '{ stage: identification, passkey: false }, { stage: password }, { stage: terms, version: two }, { stage: user_login }'
    await write('changing', `{ stage: terms, version: one }, ${rest}`)
    const attempt = await begin('changing')
    await attempt.post('terms', { accept: 'true' })
    await attempt.post('identification', { username: 'ann' })
    assert.equal(stageOf(await attempt.post('password', { password })), 'terms')
    await write('changing', rest)
    await assert.rejects(attempt.show(), AttemptOver)
    await assert.rejects(attempt.post('user_login'), AttemptOver)
  })

  it('gives the session with what is asked after it, and does not lose it', async () => {
    await write(
      'late',
      '{ stage: identification, passkey: false }, { stage: password }, { stage: user_login }, { stage: terms, version: late }',
    )
    const attempt = await begin('late')
    await attempt.post('identification', { username: 'ann' })
    const step = await attempt.post('password', { password })
    assert.equal(stageOf(step), 'terms')
    assert.ok(step.kind === 'ask' && step.session?.kind === 'began')
  })

  it('tells of a person by their own name, whatever they enter later', async () => {
    await write(
      'renamed',
      '{ stage: identification, passkey: false }, { stage: password }, { stage: prompt, fields: [{ name: username }] }, { stage: user_write }, { stage: user_login }',
    )
    const attempt = await begin('renamed')
    await attempt.post('identification', { username: 'ben' })
    await attempt.post('password', { password })
    const step = await attempt.post('prompt', { username: 'root' })
    assert.ok(step.kind === 'done' && step.facts.username === 'ben')
    const { actors } = await kernel.db.one<{ actors: string[] }>(sql`select array_agg(distinct actor) as actors from events`)
    assert.ok(!actors.includes('root'), actors.join())
  })

  it('is refused with a field whose name every object has', () => {
    const stages = (name: string) => ({ designation: 'enrollment', stages: [{ stage: 'prompt', fields: [{ name }] }] })
    for (const name of ['constructor', 'valueOf', 'toString']) assert.ok(!kinds.Flow.spec.safeParse(stages(name)).success, name)
    assert.ok(kinds.Flow.spec.safeParse(stages('team')).success)
  })

  it('stands in for one that was deleted', async () => {
    for (const name of ['authentication', 'authenticator-totp'])
      await deleteResource(kernel, { kind: kinds.Flow, namespace: 'default', name }, { actor: 'test' }, now)
    await kernel.snapshot.refresh()
    assert.equal(kernel.snapshot.get('Flow', 'default', 'authentication'), undefined)
    assert.equal(getFlow(deps, authServer, 'authentication').stages[0]?.stage, 'identification')
    assert.equal(getFlow(deps, authServer, 'authenticator_totp').name, 'authenticator_totp')
    assert.throws(() => getFlow(deps, authServer, 'no-such-flow'))
  })
})

/** Whoever may type an address has us write to it: so many times, however they spell it and however many attempts they begin. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { addFactor } from '#/identity/authenticators.ts'
import { openPasswordHasher, setPassword } from '#/identity/passwords.ts'
import { createUser } from '#/identity/users.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { Problem } from '#/lib/problem.ts'
import { sql } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { applyDocuments } from '#/resources/apply.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { beginAttempt, browserCookie } from './attempts.ts'
import { postAttempt } from './executor.ts'
import { getFlow } from './flows.ts'
import type { FlowDeps } from './stage.ts'

const now = new Date('2026-11-25T12:00:00Z')
const authServer = { namespace: 'default', name: 'default', issuerUrl: 'https://sign-in.example.com', pathPrefix: '' }

describe('mails', () => {
  let kernel: Kernel
  let deps: FlowDeps
  const passwords = openPasswordHasher()

  before(async () => {
    kernel = await openKernel(now)
    const { db, snapshot, rootSecret } = kernel
    const settings = readSettings({ SIGNET_SMTP_URL: 'smtp://127.0.0.1:2525' })
    deps = { db, snapshot, rootSecret, passwords, log: openLog('silent'), clock: () => now, settings }
    const manifest = `apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: join, namespace: default }
spec:
  designation: enrollment
  stages: [{ stage: prompt, fields: [{ name: email, type: email }] }, { stage: email, template: email_confirmation }]`
    const [result] = await applyDocuments(kernel, manifest, { actor: 'test' }, now)
    assert.deepEqual(result?.errors, [])
    await kernel.snapshot.refresh()
  })
  after(async () => {
    await passwords.close()
    await kernel.drop()
  })

  const begin = async (flow: string, network: string) => {
    const { attempt } = await beginAttempt(deps, { flow, next: '/', context: {}, authServer, cookies: `${browserCookie}=one` }, now)
    const request = { authServer, browser: 'one', session: undefined, network, userAgent: undefined, requestId: 'test', locales: [] }
    return async (stage: string, fields: Record<string, unknown>) => {
      const post = { attempt, stage, decline: false, restart: false, fields }
      try {
        const step = await postAttempt(deps, { flow: getFlow(deps, authServer, flow), post, request, now })
        return step.kind === 'refused' ? step.reason : step.kind
      } catch (error) {
        if (error instanceof Problem) return error.code
        throw error
      }
    }
  }
  const queued = async (task: string) =>
    (
      await kernel.db.one<{ count: number }>(
        sql`select count(*)::int as count from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id where t.identifier = ${task}`,
      )
    ).count
  const spelled = (address: string, index: number) =>
    [...address].map((letter, place) => ((index >> place) & 1 ? letter.toUpperCase() : letter)).join('')

  it('go to an address that someone typed five times, whoever asks and however it is spelled', async () => {
    const before = await queued('send_email')
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const post = await begin('join', `192.0.2.${index}`)
        return post('prompt', { email: spelled('dora@example.org', index) })
      }),
    )
    assert.deepEqual(answers.toSorted(), [...Array(5).fill('ask'), ...Array(7).fill('too_many_requests')])
    assert.equal((await queued('send_email')) - before, 5)
  })

  it('go out with the move of the attempt: of posts at once one wins, and the others send none', async () => {
    for (const [flow, stage, fields, task] of [
      ['recovery', 'identification', { username: 'ann' }, 'send_recovery'],
      ['join', 'prompt', { email: 'finn@example.org' }, 'send_email'],
    ] as const) {
      const before = await queued(task)
      const post = await begin(flow, '192.0.2.200')
      const answers = await Promise.all(Array.from({ length: 8 }, () => post(stage, fields)))
      assert.deepEqual(answers.toSorted(), ['ask', ...Array(7).fill('conflict')], flow)
      assert.equal((await queued(task)) - before, 1, flow)
    }
    const gina = await createUser(kernel.db, { username: 'gina', email: 'gina@example.org', emailVerified: true }, { actor: 'test' }, now)
    await setPassword({ db: kernel.db, passwords }, gina.id, 'quiet harbour', { actor: 'test', rules: defaultPasswordRules }, now)
    const factor = { authenticator_id: uuidv7(now), user_id: gina.id, type: 'email', name: 'E-mail' } as const
    await addFactor(kernel.db, factor, { actor: 'test' }, now)
    const before = await queued('send_email')
    const post = await begin('authentication', '192.0.2.200')
    await post('identification', { username: 'gina' })
    const answers = await Promise.all(Array.from({ length: 4 }, () => post('password', { password: 'quiet harbour' })))
    assert.deepEqual(answers.toSorted(), ['ask', ...Array(3).fill('conflict')])
    assert.equal((await queued('send_email')) - before, 1, 'a code for which a person has one field')
  })

  it('hold a code that is guessed ten times, however the address is spelled', async () => {
    const outcomes: string[] = []
    for (let index = 0; index < 3; index += 1) {
      const post = await begin('join', `198.51.100.${index}`)
      await post('prompt', { email: spelled('emil@example.org', index) })
      for (let guess = 0; guess < 5; guess += 1) outcomes.push(await post('email', { code: 'wrong' }))
    }
    assert.deepEqual(outcomes, [...Array(10).fill('InvalidCredentials'), ...Array(5).fill('LockedOut')])
  })

  it('are asked for from one network fifty times, of whatever accounts', async () => {
    const before = await queued('send_recovery')
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const post = await begin('recovery', '203.0.113.9')
        return post('identification', { username: `person-${index}` })
      }),
    )
    assert.equal(answers.filter((answer) => answer === 'ask').length, 50)
    assert.equal((await queued('send_recovery')) - before, 50)
    const elsewhere = await begin('recovery', '203.0.113.10')
    assert.equal(await elsewhere('identification', { username: 'ann' }), 'ask')
    for (let index = 0; index < 49; index += 1) assert.equal(await elsewhere('email', {}), 'ask')
    assert.equal(await elsewhere('email', {}), 'too_many_requests')
  })
})

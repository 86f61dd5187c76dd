import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPasswordHasher } from '#/identity/passwords.ts'
import { createSession, findSession } from '#/identity/sessions.ts'
import { createUser } from '#/identity/users.ts'
import { freshDatabase } from '../../../test/support/database.ts'
import { openFlowDeps } from '../../../test/support/flow.ts'
import type { StageInput } from '../stage.ts'
import { user_login } from './user_login.ts'
import { user_logout } from './user_logout.ts'

test('signing in or out at /staff leaves the session of the issuer at / alone, though its cookie comes along', async () => {
  const { db, drop } = await freshDatabase()
  const passwords = openPasswordHasher()
  let snapshot: Awaited<ReturnType<typeof openFlowDeps>>['snapshot'] | undefined
  try {
    const now = new Date()
    const flowDeps = await openFlowDeps(db)
    snapshot = flowDeps.snapshot
    const deps = { ...flowDeps, clock: () => now, passwords }
    const { id: user_id } = await createUser(db, { username: 'ann' }, { actor: 'test' }, now)
    const root = await createSession(db, { user_id, username: 'ann', amr: ['pwd'], acr: '1fa', issuer: 'https://id.example' }, now)
    const authServer = { namespace: 'default', name: 'staff', issuerUrl: 'https://id.example/staff', pathPrefix: '/staff' }
    const input: StageInput = {
      flow: 'authentication',
      settings: {},
      kept: {},
      carried: {},
      nonce: () => '',
      facts: { user_id, username: 'ann', amr: ['pwd'] },
      context: {},
      request: {
        authServer,
        browser: undefined,
        session: root.token,
        network: '203.0.113.9',
        userAgent: undefined,
        requestId: 'x',
        locales: [],
      },
      now,
    }
    assert.equal((await user_logout.challenge(deps, input)).kind, 'passed')
    await user_logout.answer?.(deps, input, {})
    const outcome = await user_login.challenge(deps, input)
    assert.ok(outcome.kind === 'passed' && outcome.facts.session_uid !== root.uid)
    assert.equal((await findSession(db, root.token, now))?.issuer, 'https://id.example')
  } finally {
    await passwords.close()
    snapshot?.close()
    await drop()
  }
})

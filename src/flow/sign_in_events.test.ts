import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noResources } from '../../test/support/flow.ts'
import { findFlow } from './flows.ts'
import { eventOf, type Happened } from './sign_in_events.ts'
import type { FlowRequest } from './stage.ts'

const authServer = { namespace: 'default', name: 'default', issuerUrl: 'http://localhost', pathPrefix: '' }
const request: FlowRequest = {
  authServer,
  browser: 'b',
  session: 's',
  network: '192.0.2.1',
  userAgent: undefined,
  requestId: 'r-1',
  locales: [],
}
const facts = { username: 'ann', user_id: '1', amr: ['pwd'] }

const rows: [string, Happened, string | undefined][] = [
  ['authentication', { kind: 'passed' }, 'sign_in.succeeded'],
  ['authentication', { kind: 'failed', stage: 'password', reason: 'InvalidCredentials' }, 'sign_in.failed'],
  ['authentication', { kind: 'failed', stage: 'password', reason: 'LockedOut' }, undefined],
  ['authentication', { kind: 'failed', stage: 'identification', reason: 'InvalidAnswer' }, undefined],
  ['authentication', { kind: 'denied', reason: 'access_denied' }, 'sign_in.declined'],
  ['authorization', { kind: 'passed' }, 'consent.given'],
  ['authorization', { kind: 'denied', reason: 'access_denied' }, 'consent.declined'],
  ['invalidation', { kind: 'passed' }, 'sign_out.succeeded'],
]
for (const [name, happened, action] of rows)
  test(`${name} ${JSON.stringify(happened)} is ${action ?? 'no event'}`, () => {
    const flow = findFlow(noResources, authServer, name) ?? assert.fail()
    const event = eventOf(happened, { attempt: 'a1', flow, facts, context: { client: { client_id: 'wiki', name: 'Wiki' } }, request })
    assert.equal(event?.action, action)
    if (event) assert.deepEqual([event.actor, event.client, event.network, event.requestId], ['ann', 'wiki', '192.0.2.1', 'r-1'])
    assert.doesNotMatch(JSON.stringify(event ?? {}), /"(session|browser)"/)
  })

test('signing out of nothing is no event', () =>
  assert.equal(
    eventOf(
      { kind: 'passed' },
      { attempt: 'a1', flow: findFlow(noResources, authServer, 'invalidation') ?? assert.fail(), facts: {}, context: {}, request },
    ),
    undefined,
  ))

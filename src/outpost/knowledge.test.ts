import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openKnowledge } from './knowledge.ts'
import { sessionMs } from './session.ts'

test('an ending is known an hour longer than any cookie, since clocks differ', () => {
  const start = Date.parse('2026-03-01T12:00:00Z')
  let now = start
  const knowledge = openKnowledge({ clock: () => new Date(now) })
  const tell = (sid: string) =>
    knowledge.take({ type: 'endings', endings: [{ issuer: 'https://id.example', sid, endedAt: now }], seen: '1' })
  tell('first')
  now = start + sessionMs + 59 * 60_000
  tell('second')
  assert.ok(knowledge.hasEnded('https://id.example', 'first', start - 1))
  now += 2 * 60_000
  tell('third')
  assert.ok(!knowledge.hasEnded('https://id.example', 'first', start - 1))
})

/** Guessing ends soon, whoever is guessed at and however many guesses come at once. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FlowSite, openFlowSite, password } from '../../test/support/flow_site.ts'
import { newVisitor } from '../../test/support/http.ts'

let on: FlowSite
before(async () => {
  on = await openFlowSite()
})
after(() => on.stop())

test('after ten wrong passwords a name is locked out, known or not, and is free again after a quarter of an hour', async () => {
  for (const [index, username] of ['ann', 'nobody'].entries()) {
    const visitor = newVisitor(on.site)
    const network = { 'x-test-network': `198.51.100.${index}` }
    const { attempt } = (await on.json(visitor, '/api/v1/flows/authentication')).body
    const answer = { attempt, stage: 'password', password: 'wrong' }
    await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username })
    on.pass(16 * 60_000)
    for (let i = 0; i < 10; i++) assert.equal((await on.json(visitor, '/api/v1/flows/authentication', answer, network)).status, 400)
    const { status, headers, body } = await on.json(visitor, '/api/v1/flows/authentication', { ...answer, password }, network)
    assert.equal(status, 429)
    assert.equal(headers.get('retry-after'), '900')
    assert.equal(body.stage, 'password')
    const page = await visitor.open(`${on.site}/flow/authentication?attempt=${attempt}`)
    const refused = await visitor.submit(page, { password })
    assert.equal(refused.status, 429)
    assert.ok(refused.headers.get('retry-after'))
  }
  on.pass(15 * 60_000 + 1_000)
  const page = await on.signIn(newVisitor(on.site), 'ann', password)
  assert.equal(new URL(page.url).pathname, '/after')
})

test('of many passwords tried at once none succeeds after the tenth failure', async () => {
  on.pass(16 * 60_000)
  const visitor = newVisitor(on.site)
  const { attempt } = (await on.json(visitor, '/api/v1/flows/authentication')).body
  await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'ann' })
  const guesses = [...Array.from({ length: 40 }, (_, i) => `guess ${i}`), password]
  const answers = await Promise.all(
    guesses.map((guess) => on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'password', password: guess })),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 0)
  on.pass(16 * 60_000)
})

test('fifty wrong passwords lock a network out, whatever the names', async () => {
  const network = { 'x-test-network': '203.0.113.9' }
  const visitor = newVisitor(on.site)
  const attemptFor = async (username: string) => {
    const { attempt } = (await on.json(visitor, '/api/v1/flows/authentication')).body
    await on.json(visitor, '/api/v1/flows/authentication', { attempt, stage: 'identification', username })
    return { attempt, stage: 'password', password: 'wrong' }
  }
  for (let i = 0; i < 10; i++) {
    const answer = await attemptFor(`someone ${i}`)
    for (let j = 0; j < 5; j++) assert.equal((await on.json(visitor, '/api/v1/flows/authentication', answer, network)).status, 400)
  }
  const answer = { ...(await attemptFor('ann')), password }
  assert.equal((await on.json(visitor, '/api/v1/flows/authentication', answer, network)).status, 429)
  assert.equal((await on.json(visitor, '/api/v1/flows/authentication', answer)).status, 200)
})

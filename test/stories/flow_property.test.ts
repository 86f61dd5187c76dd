/**
 * Posts in any order, of any values, from tabs and browsers, as forms and as JSON, one after the other and at once: whoever is signed in at the
 * end has proven it in that browser, and nothing is answered with a 5xx. What fails is printed with its seed; `FC_SEED=…` repeats a run.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { newVisitor, type Visitor } from '../support/http.ts'
import { type Signet, startSignet } from '../support/signet.ts'

const runs = 25
const secret = 'quiet harbour lantern 7'
const oneOf = <Value>(...values: Value[]) => fc.constantFrom(...values)
/** Mostly what leads on: else few would ever get to the end. */
const mostly = <Value>(usual: Value, ...others: Value[]) => fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, oneOf(...others))

const action = fc.record({
  tab: oneOf(0, 1, 2),
  browser: mostly('one', 'two'),
  front: oneOf('form', 'json'),
  flow: mostly('authentication', 'recovery', 'enrollment', 'invalidation', 'authenticator_totp'),
  /** `next`: the one that the tab has come to. */
  stage: mostly('next', 'identification', 'password', 'authenticator_validate', 'user_login', 'email', 'prompt', '', '__proto__'),
  username: mostly<unknown>('right', 'other', 'nobody', '', '\u0000', 'a'.repeat(400), 7, null, ['ann'], { a: 1 }),
  password: mostly<unknown>(secret, 'wrong', '', '\u0000', 'x'.repeat(3_000), 7, null, [secret]),
  more: mostly<Record<string, unknown>>(
    {},
    { decline: 'true' },
    { restart: 'true' },
    { code: '123456' },
    { credential: '{}' },
    { credential: { id: 1 } },
  ),
  together: fc.boolean(),
})
type Action = typeof action extends fc.Arbitrary<infer One> ? One : never

describe('any posts to a flow', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet({ settings: { TRUSTED_PROXIES: '127.0.0.1/32 ::1/128' } })
    for (const username of ['other', ...Array.from({ length: runs }, (_, run) => `right-${run}`)]) {
      const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', { username })
      const password = username === 'other' ? 'of somebody else' : secret
      assert.ok((await signet.api('POST', `/api/v1/users/${body.id}/password`, { password })).status < 300)
    }
  })
  after(() => signet?.stop())

  const whoIs = async (visitor: Visitor): Promise<string | undefined> => {
    const me = await visitor.request('/api/v1/me')
    return me.status === 200 ? ((await me.json()) as { username: string }).username : undefined
  }

  it('sign in nobody who has not proven it, and are never too much', async () => {
    let run = 0
    let signedIn = 0
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 14 }), async (actions) => {
        // A name and a network of each run's own, so that no lock-out reaches into the next.
        const right = `right-${run % runs}`
        const headers = { 'x-forwarded-for': `10.1.${run >> 8}.${run++ & 255}`, origin: signet.issuer }
        const browsers: Record<string, Visitor> = { one: newVisitor(signet.issuer), two: newVisitor(signet.issuer) }
        const { one = assert.fail() } = browsers
        const tabs: { attempt: string; stage: string }[] = []
        for (let tab = 0; tab < 3; tab++)
          tabs.push((await (await one.request('/api/v1/flows/authentication', { headers })).json()) as (typeof tabs)[number])

        const post = async ({ tab, browser, front, flow, stage, username, password, more }: Action) => {
          const at = tabs[tab] ?? assert.fail()
          const name = username === 'right' ? right : username
          const fields = { attempt: at.attempt, stage: stage === 'next' ? at.stage : stage, username: name, password, ...more }
          const form = () =>
            new URLSearchParams(
              Object.entries(fields).map(([field, value]) => [field, typeof value === 'string' ? value : JSON.stringify(value)]),
            )
          const answer = await (browsers[browser] ?? one).request(front === 'json' ? `/api/v1/flows/${flow}` : `/flow/${flow}`, {
            method: 'POST',
            body: front === 'json' ? JSON.stringify(fields) : form().toString(),
            headers: { ...headers, 'content-type': front === 'json' ? 'application/json' : 'application/x-www-form-urlencoded' },
          })
          const text = await answer.text()
          assert.ok(answer.status < 500, `${answer.status} ${JSON.stringify(fields).slice(0, 500)}: ${text.slice(0, 500)}`)
          const now = await one.request(`/api/v1/flows/authentication?attempt=${at.attempt}`, { headers })
          at.stage = ((await now.json()) as { stage?: string }).stage ?? at.stage
        }
        let waiting: Promise<void>[] = []
        for (const next of actions) {
          waiting.push(post(next))
          if (next.together) continue
          await Promise.all(waiting)
          waiting = []
        }
        await Promise.all(waiting)

        assert.equal(await whoIs(browsers.two ?? one), undefined, 'the attempts are of the other browser')
        const person = await whoIs(one)
        if (person === undefined) return
        signedIn++
        assert.equal(person, right)
        const own = actions.filter(({ browser, flow }) => browser === 'one' && flow === 'authentication')
        for (const tab of [0, 1, 2])
          if (
            own.some((each) => each.tab === tab && each.username === 'right') &&
            own.some((each) => each.tab === tab && each.password === secret)
          )
            return
        assert.fail(`signed in without name and password in one tab: ${JSON.stringify(actions)}`)
      }),
      { numRuns: runs, ...(process.env.FC_SEED ? { seed: Number(process.env.FC_SEED) } : {}) },
    )
    assert.ok(signedIn > 0, 'some of them got to the end')
  })
})

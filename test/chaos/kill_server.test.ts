/**
 * kill -9 of the process that answers, in the middle of code exchanges and refreshes. What a client was told must still be so
 * afterwards, and nothing that is good for once may be good twice, whatever was under way.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Visitor } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, exchange, makeClient, refresh, signIn, type TokenAnswer } from '../support/oauth.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

describe('kill -9 of the server', () => {
  let signet: Signet
  let client: ClientCredentials
  let visitor: Visitor
  before(async () => {
    signet = await startSignet()
    client = await makeClient(signet, 'storm')
    visitor = (await signIn(signet, client)).visitor
  })
  after(() => signet.stop())

  /** Codes come without a page, since session and consent are there. */
  const newCode = async () => {
    const started = authorizeUrl(signet, client)
    const page = await visitor.open(started.url)
    const code = page.left?.searchParams.get('code')
    assert.ok(code, `${page.status} ${page.text}`)
    return { ...started, code }
  }
  const newCodes = async (count: number) => {
    // The first one alone: it makes the grant that the others stand on.
    const codes = [await newCode()]
    while (codes.length < count) codes.push(...(await Promise.all(Array.from({ length: Math.min(5, count - codes.length) }, newCode))))
    return codes
  }
  const faults = () => {
    const lines = signet.logs().split('\n')
    return `\n${lines
      .filter((line) => line.includes('"level":"error"'))
      .slice(-3)
      .join('\n')}`
  }
  /** Undefined: the connection broke, so nothing was said. */
  const said = (answer: Promise<TokenAnswer>): Promise<TokenAnswer | undefined> => answer.catch(() => undefined)

  test('during code exchanges: what was bought stays bought, and no code buys twice', async () => {
    for (const killAfterMs of [15, 60]) {
      const codes = await newCodes(30)
      const exchanges = codes.map((code) => said(exchange(signet, client, code)))
      await delay(killAfterMs)
      await signet.kill('SIGKILL')
      const first = await Promise.all(exchanges)
      await signet.restart()

      const bought = first.map((answer) => answer?.status === 200)
      await Promise.all(
        first.map(async (answer, index) => {
          if (!bought[index]) return
          // Rotation proves that the grant and the refresh token are there.
          const { status, body } = await refresh(signet, client, answer?.body.refresh_token)
          assert.equal(status, 200, `acknowledged and lost: ${JSON.stringify(body)}`)
        }),
      )
      const second = await Promise.all(codes.map((code) => said(exchange(signet, client, code))))
      second.forEach((answer, index) => {
        assert.ok(answer, 'the server is back')
        assert.ok(answer.status === 200 || answer.body.error === 'invalid_grant', JSON.stringify(answer) + faults())
        assert.ok(!(bought[index] && answer.status === 200), 'one code bought twice')
      })
    }
  })

  test('during exchanges of one code by several: it never buys twice', async () => {
    for (const killAfterMs of [10, 30]) {
      const codes = await newCodes(10)
      const exchanges = codes.map((code) => Promise.all(Array.from({ length: 4 }, () => said(exchange(signet, client, code)))))
      await delay(killAfterMs)
      await signet.kill('SIGKILL')
      const first = await Promise.all(exchanges)
      await signet.restart()
      const second = await Promise.all(codes.map((code) => exchange(signet, client, code)))
      first.forEach((answers, index) => {
        const successes = [...answers, second[index]].filter((answer) => answer?.status === 200).length
        assert.ok(successes <= 1, `${successes} successes of one code`)
      })
    }
  })

  test('during a refresh storm: no refresh token succeeds twice, and one at rest is not lost', async () => {
    // Each in a session of its own: tokens of one session share a grant, and a reuse ends that grant.
    const newToken = async () => {
      const { body } = await exchange(signet, client, await signIn(signet, client))
      assert.ok(body.refresh_token, JSON.stringify(body))
      return body.refresh_token
    }
    const successes = new Map<string, number>()
    const use = async (token: string) => {
      const answer = await said(refresh(signet, client, token))
      if (answer?.status === 200) successes.set(token, (successes.get(token) ?? 0) + 1)
      else if (answer) assert.equal(answer.body.error, 'invalid_grant', JSON.stringify(answer) + faults())
      return answer
    }
    for (let round = 0; round < 2; round++) {
      const tokens: string[] = []
      while (tokens.length < 6) tokens.push(await newToken())
      const atRest = await newToken()
      let stopped = false
      let refreshed = 0
      const storm = tokens.map(async (_, index) => {
        while (!stopped) {
          const answer = await use(tokens[index] ?? '')
          if (answer?.status !== 200) return
          refreshed++
          tokens[index] = answer.body.refresh_token ?? ''
        }
      })
      await until(() => refreshed > 40)
      await signet.kill('SIGKILL')
      stopped = true
      await Promise.all(storm)
      await signet.restart()
      // The newest token of a family may have been used without a word of it reaching the client; it succeeds once or never.
      await Promise.all(tokens.map(use))
      assert.equal((await use(atRest))?.status, 200, `a token nobody used is good${faults()}`)
    }
    // Every token that ever succeeded is presented again: all are refused.
    await Promise.all([...successes.keys()].slice(-60).map(use))
    assert.deepEqual(
      [...successes.values()].filter((count) => count > 1),
      [],
    )
  })

  test('leaves the person signed in', async () => {
    await signet.restart({ signal: 'SIGKILL' })
    assert.equal((await visitor.request('/api/v1/me')).status, 200)
  })
})

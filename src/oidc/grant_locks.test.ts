/** A grant is ended while something under it is redeemed: one waits for the other, and neither stands in the other's way for good. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { revokeGrant } from '#/model/grants.ts'
import { authorize, clientManifest, exchange, request, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import { until } from '../../test/support/signet.ts'

describe('a grant that ends while it is used', () => {
  let test: TestIssuer
  let client: { client_id: string; client_secret: string }
  let ann: Awaited<ReturnType<TestIssuer['signIn']>>

  before(async () => {
    test = await startIssuer()
    await test.apply(clientManifest('app'))
    await test.apply(clientManifest('opaque', '  accessTokenFormat: opaque'))
    client = await test.credentials('app')
    ann = await test.signIn('ann')
  })
  after(() => test.close())

  /** Takes the grant's row, has `use` wait behind it, then ends the grant. */
  const endingDuring = async <Answer>(client_id: string, use: () => Promise<Answer>): Promise<Answer> => {
    let answer: Promise<Answer> | undefined
    await test.db.transaction(async (tx) => {
      const { grant_id } = await tx.one<{ grant_id: string }>(sql`
        select grant_id from grants where client_id = ${client_id} order by created_at desc limit 1 for update`)
      answer = use()
      await until(
        async () =>
          (
            await test.db.one<{ waiting: boolean }>(sql`
            select exists (select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()) as waiting`)
          ).waiting,
        { explain: () => 'nobody waits for the grant' },
      )
      await revokeGrant(tx, grant_id)
    })
    assert(answer)
    return answer
  }

  const endDuring = async (client_id: string, use: () => Promise<{ status: number; body: { error?: string } }>) => {
    const { status, body } = await endingDuring(client_id, use)
    assert.deepEqual([status, body.error], [400, 'invalid_grant'])
  }

  it('a grant that more is added to does not come back', async () => {
    client = await test.credentials('app')
    const pkce = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }
    await authorize(test, client, ann.cookie, { scope: 'openid' })
    const answer = await endingDuring(client.client_id, () => request(test, client, ann.cookie, { ...pkce, scope: 'openid profile' }))
    const location = new URL(answer.headers.get('location') ?? '')
    assert.equal(location.searchParams.get('error'), 'access_denied')
    const { left } = await test.db.one<{ left: number }>(
      sql`select count(*)::integer as left from grants where client_id = ${client.client_id}`,
    )
    assert.equal(left, 0)
    await authorize(test, client, ann.cookie)
  })

  // Opaque access tokens take the library's way, the others ours.
  for (const name of ['app', 'opaque']) {
    it(`${name}: a code`, async () => {
      client = await test.credentials(name)
      const code = await authorize(test, client, ann.cookie)
      await endDuring(client.client_id, () => exchange(test, client, code))
    })

    it(`${name}: a refresh token`, async () => {
      client = await test.credentials(name)
      const { body } = await exchange(test, client, await authorize(test, client, ann.cookie))
      await endDuring(client.client_id, () =>
        token(test, client, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }),
      )
    })
  }
})

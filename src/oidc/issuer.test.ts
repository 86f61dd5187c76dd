import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { authorize, claimsOf, clientManifest, exchange } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import { until } from '../../test/support/signet.ts'

const mapper = `
apiVersion: signet.dev/v1alpha1
kind: ClaimMapper
metadata: { name: department, namespace: default }
spec:
  authServerRef: { name: default }
  scopes: [profile]
  claims: [{ name: department, value: '"sales"', in: [id_token] }]
`

describe('an issuer whose configuration changes', () => {
  let test: TestIssuer
  before(async () => {
    test = await startIssuer()
  })
  after(() => test.close())

  it('keeps no client that a request from before the change was still making', async () => {
    await test.apply(clientManifest('app'))
    const client = await test.credentials('app')
    const { cookie } = await test.signIn('ann')
    const { begun } = await test.database.db.transaction(async (tx) => {
      // Reading the client's secret waits until the end of this.
      await tx.run(sql`lock table client_credentials in access exclusive mode`)
      const begun = authorize(test, client, cookie)
      await until(() => tx.maybeOne(sql`select from pg_locks where relation = 'client_credentials'::regclass and not granted`))
      await test.apply(mapper)
      assert.equal((await fetch(`${test.issuer}/.well-known/openid-configuration`)).status, 200)
      return { begun }
    })
    await begun
    const { status, body } = await exchange(test, client, await authorize(test, client, cookie))
    assert.equal(status, 200)
    assert.equal(claimsOf(body.id_token).department, 'sales')
  })
})

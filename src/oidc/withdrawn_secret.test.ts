import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { rotateClientSecret } from '#/resources/client_secrets.ts'
import { clientManifest, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

let issuer: TestIssuer
before(async () => {
  issuer = await startIssuer()
  await issuer.apply(clientManifest('app'))
})
after(() => issuer.close())

test('a secret that is withdrawn at one server is worth nothing at another a moment later', async () => {
  const withdrawn = await issuer.credentials('app')
  const ask = () => token(issuer, withdrawn, { grant_type: 'client_credentials', scope: 'profile' })
  assert.equal((await ask()).status, 200)
  // Another server: nothing but the database tells this one of it.
  await rotateClientSecret(issuer, 'default', 'app', { actor: 'test', overlap: 0 }, new Date())
  const deadline = Date.now() + 10_000
  while ((await ask()).status !== 401) {
    assert.ok(Date.now() < deadline, 'it is taken for more than 10 s')
    await delay(20)
  }
  const current = await issuer.credentials('app')
  assert.equal((await token(issuer, current, { grant_type: 'client_credentials', scope: 'profile' })).status, 200)
})

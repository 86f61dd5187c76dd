import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openPasswordHasher, type PasswordHasher } from '#/identity/passwords.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { applyDocuments } from './apply.ts'
import { applyFirstStart } from './first_start.ts'
import { openSnapshot, type Snapshot } from './snapshot.ts'

let fresh: FreshDatabase
let snapshot: Snapshot
let passwords: PasswordHasher
const rootSecret = new Secret('0123456789abcdef0123456789abcdef')
const now = new Date('2030-01-01T00:00:00Z')
const log = openLog('silent')

before(async () => {
  fresh = await freshDatabase()
  passwords = openPasswordHasher()
})
after(async () => {
  snapshot?.close()
  await passwords.close()
  await fresh.drop()
})

test('first start', async () => {
  const deps = {
    db: fresh.db,
    rootSecret,
    passwords,
    settings: { BASE_URL: 'http://localhost:9000', BOOTSTRAP_PASSWORD: undefined, BOOTSTRAP_TOKEN: undefined },
  }
  const both = await Promise.all([applyFirstStart(deps, now), applyFirstStart(deps, now)])
  assert.deepEqual(both.map(({ made }) => made).sort(), [false, true])
  snapshot = await openSnapshot({ db: fresh.db, log })
  console.log(
    JSON.stringify(
      snapshot.authServers().map((s) => s.resource),
      null,
      1,
    ),
  )
})
test('apply', async () => {
  const text = `apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: {name: web, namespace: team-a}
spec:
  authServerRef: {name: default, namespace: default}
  redirectUris: [https://web.example.com/cb]
  scopes: [openid, email]
---
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: {name: out, namespace: team-a}
spec:
  authServerRef: {name: default, namespace: default}
  redirectUris: [https://web.example.com/cb]
  grantTypes: [authorization_code, implicit]
  scopes: 
    - openid
    - payments
---
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: {name: wrong, namespace: team-a}
spec:
  autServerRef: {name: default, namespace: default}
  redirectUris: [https://web.example.com/cb#x]
  scopes: 
    - open id
`
  const deps = { db: fresh.db, rootSecret, snapshot }
  console.log(JSON.stringify(await applyDocuments(deps, text, { actor: 'me', dryRun: true }, now), null, 1))
  console.log((await applyDocuments(deps, text, { actor: 'me' }, now)).map((r) => r.result))
  console.log((await applyDocuments(deps, text, { actor: 'me' }, now)).map((r) => r.result))
  console.log(snapshot.clientById('default', 'default', 'team-a.web')?.problem)
})

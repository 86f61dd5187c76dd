import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createUser } from '#/identity/users.ts'
import { kinds } from '#/kinds/index.ts'
import { sql } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { storeConsent } from '#/model/consents.ts'
import { storeGrant } from '#/model/grants.ts'
import { issuerUrl as issuer, type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyDocuments } from './apply.ts'
import { deleteResource } from './change.ts'
import { endClientGrants } from './client_grants.ts'

const now = new Date('2030-01-01T00:00:00Z')
const later = new Date('2030-01-02T00:00:00Z')
const expires_at = new Date('2030-06-01T00:00:00Z')
const actor = 'ada'

let kernel: Kernel
let user_id: string
before(async () => {
  kernel = await openKernel(now)
  user_id = (await createUser(kernel.db, { username: 'ann' }, { actor }, now)).id
})
after(() => kernel.drop())

const manifest = (name: string, more = {}, labels = {}) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'AuthClient',
  metadata: { name, labels },
  spec: { authServerRef: { name: 'default' }, redirectUris: ['https://app.example.com/cb'], scopes: ['openid'], ...more },
})
const apply = async (documents: unknown[], options = {}, at = now) => {
  const results = await applyDocuments(kernel, documents, { actor, ...options }, at)
  for (const { result, errors } of results) assert.notEqual(result, 'refused', JSON.stringify(errors))
}
const grantTo = async (client_id: string, at = now) => {
  const grant_id = uuidv7(at)
  await storeGrant(kernel.db, { grant_id, user_id, issuer, client_id, parent_grant_id: null, payload: {}, expires_at }, at)
  await storeConsent(kernel.db, { consent_id: uuidv7(at), user_id, issuer, client_id, scopes: ['openid'], claims: [], resources: {} }, at)
}
const left = async (client_id: string) =>
  Object.values(
    await kernel.db.one<{ grants: number; consents: number }>(sql`
      select (select count(*)::int from grants where client_id = ${client_id}) as grants,
             (select count(*)::int from consents where client_id = ${client_id}) as consents`),
  )
const waiting = async () =>
  (await kernel.db.any<{ identifier: string }>(sql`select task_identifier as identifier from graphile_worker.jobs`)).map(
    ({ identifier }) => identifier,
  )

describe('what was granted to a client', () => {
  const ways: [string, () => Promise<unknown>][] = [
    ['deleted', () => deleteResource(kernel, { kind: kinds.AuthClient, namespace: 'default', name: 'app' }, { actor }, later)],
    ['pruned', () => apply([], { prune: 'app=one' }, later)],
    ['given another clientId', () => apply([manifest('app', { clientId: 'another' }, { app: 'one' })], {}, later)],
  ]
  for (const [how, end] of ways)
    it(`ends when it is ${how}, and what others were granted stays`, async () => {
      await apply([manifest('app', {}, { app: 'one' }), manifest('other')])
      await grantTo('default.app')
      await grantTo('default.other')
      await end()
      assert.deepEqual(await left('default.app'), [0, 0])
      assert.ok((await left('default.other')).every((count) => count > 0))
      assert.deepEqual(await waiting(), [])
    })

  it('stays through every other change, and through a change that is taken back', async () => {
    await apply([manifest('app')])
    await grantTo('default.app')
    await apply([manifest('app', { displayName: 'The app' })], {}, later)
    await applyDocuments(kernel, [manifest('app', { clientId: 'another' })], { actor, dryRun: true }, later)
    assert.deepEqual(await left('default.app'), [1, 1])
  })

  it('is not had by a client that comes to be called like one that is gone', async () => {
    await grantTo('late')
    await apply([manifest('newcomer', { clientId: 'late' })], {}, later)
    assert.deepEqual(await left('late'), [0, 0])
  })

  it('ends by a task where it is too much for the change, which leaves alone what was granted since', async () => {
    await apply([manifest('many')])
    await kernel.db.run(sql`
      insert into grants (grant_id, user_id, issuer, client_id, payload, created_at, expires_at)
      select 'g' || i, ${user_id}, ${issuer}, 'default.many', '{}', ${now}, ${expires_at} from generate_series(1, 2500) i`)
    await deleteResource(kernel, { kind: kinds.AuthClient, namespace: 'default', name: 'many' }, { actor }, later)
    assert.deepEqual(await left('default.many'), [1_500, 0])
    assert.deepEqual(await waiting(), ['end_client_grants'])
    await grantTo('default.many', new Date('2030-01-03T00:00:00Z'))
    await endClientGrants(kernel.db, { issuer, client_id: 'default.many' }, later)
    assert.deepEqual(await left('default.many'), [1, 1])
  })
})

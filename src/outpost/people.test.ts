import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import type { Core, Person } from './core.ts'
import { openPeople } from './people.ts'
import type { Session } from './session.ts'

const now = 1_000_000_000
const anna: Person = { id: 'u', username: 'anna', email: '', name: '', active: true, groups: [], attributes: { contractor: true } }
const session: Session = {
  sid: 's',
  issuer: 'https://id.example',
  person: anna,
  acr: '1fa',
  amr: [],
  vouchedFor: '',
  signedInAt: now,
  expiresAt: now + 1_000,
}
const openWith = (findPerson: () => Promise<Person | undefined>) => {
  let asked = 0
  const core = {
    findPerson: () => {
      asked += 1
      return findPerson()
    },
    changedAt: () => 0,
  } as unknown as Core
  return { people: openPeople({ core, log: openLog('silent') }), asked: () => asked }
}

test('who signed in a moment ago is who the sign-in says, and nobody is asked', () => {
  const { people, asked } = openWith(async () => assert.fail('asked'))
  assert.deepEqual([people.current(session, now + 1), asked()], [anna, 0])
})

test('a person whose attributes found no room is asked for before any rule is, once', async () => {
  const { people, asked } = openWith(async () => anna)
  const bare: Session = { ...session, person: { ...anna, attributes: {} }, isWithoutAttributes: true }
  assert.deepEqual(await people.current(bare, now + 1), anna)
  assert.deepEqual([people.current(bare, now + 2), asked()], [anna, 1])
})

test('and is nobody where core can not be asked', async () => {
  const { people } = openWith(async () => {
    throw new Error('away')
  })
  assert.equal(await people.current({ ...session, person: { ...anna, attributes: {} }, isWithoutAttributes: true }, now + 1), undefined)
})

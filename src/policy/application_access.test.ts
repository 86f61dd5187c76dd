import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideAccess } from './application_access.ts'

const question = {
  user: { username: 'ann', email: null, name: null, active: true, attributes: { level: 3 } },
  groups: ['Staff'],
  client: {},
  network: '192.0.2.1',
}
type Access = Parameters<typeof decideAccess>[0]
const rows: [string, Access, boolean][] = [
  ['open', undefined, true],
  ['of a group', { groups: ['staff'] }, true],
  ['of another group', { groups: ['guests'] }, false],
  ['of nobody', { groups: [] }, false],
  ['by name', { users: ['ANN'] }, true],
  ['by name or group', { users: ['bob'], groups: ['staff'] }, true],
  ['when it holds', { when: "network == '192.0.2.1' && user.attributes.level > 2" }, true],
  ['when it does not hold', { groups: ['staff'], when: "network == '10.0.0.1'" }, false],
  ['not when only it holds', { groups: ['guests'], when: 'true' }, false],
]
for (const [title, access, allowed] of rows)
  test(`an application ${title} is ${allowed ? 'shown' : 'not shown'}`, () =>
    assert.equal(decideAccess(access, question).kind, allowed ? 'allowed' : 'refused'))

const asked = (when: string, request?: Parameters<typeof decideAccess>[1]['request']) =>
  decideAccess({ when }, { ...question, request }).kind
const editing = "request.method in ['GET', 'HEAD'] || 'editors' in user.groups"

test('a rule on requests is asked where there is one, and holds for every way to read its path', () => {
  const request = { host: 'wiki.example', paths: ['/a'], method: 'GET' }
  assert.deepEqual(
    [asked(editing), asked(editing, request), asked(editing, { ...request, method: 'POST' })],
    ['allowed', 'allowed', 'refused'],
  )
  assert.equal(asked("request.host == 'wiki.example' && request.path == '/a'", request), 'allowed')
  const closed = "!request.path.startsWith('/admin')"
  assert.equal(asked(closed, { ...request, paths: ['/%61dmin'] }), 'allowed')
  assert.equal(asked(closed, { ...request, paths: ['/%61dmin', '/admin'] }), 'refused')
  assert.equal(asked(closed, { ...request, paths: [] }), 'refused')
})

test('a rule on a method that nobody says refuses', () =>
  assert.equal(asked("request.method != 'POST'", { host: 'wiki.example', paths: ['/'] }), 'refused'))

test('an expression that fails refuses and says so', () => {
  const access = decideAccess({ when: 'user.attributes.missing > 1' }, question)
  assert.equal(access.kind, 'refused')
  assert.ok(access.kind === 'refused' && access.failed)
})

test('nobody inactive may use anything', () =>
  assert.equal(decideAccess(undefined, { ...question, user: { ...question.user, active: false } }).kind, 'refused'))

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkExpression, compileExpression } from './expression.ts'

const variables = { user: 'map', client: 'map', scopes: 'list<string>' } as const
const values = {
  user: { username: 'ada', email: 'ada@example.com', groups: ['staff', 'admins'], attributes: { level: 3, teams: ['a', 'b'] } },
  client: { name: 'shop', labels: {} },
  scopes: ['openid', 'email'],
}

for (const [text, expected] of [
  ['user.username', 'ada'],
  ['user.groups', ['staff', 'admins']],
  ["user.groups.filter(g, g.startsWith('a'))", ['admins']],
  ["'admins' in user.groups", true],
  ['size(user.groups)', 2],
  ['user.attributes.level', 3],
  ['user.attributes.level >= 3.0', true],
  ["has(user.attributes.phone) ? user.attributes.phone : ''", ''],
  ['user.?attributes.?phone', null],
  ["{'a': 1, 'b': [user.username]}", { a: 1, b: ['ada'] }],
  ["'email' in scopes", true],
  ['null', null],
] as const)
  test(`expression ${text} is ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(compileExpression(text, variables).evaluate(values), expected)
  })

for (const text of ['user.', 'nobody.name', '1 +', 'process.exit()', '"a" + 1', 'x'.repeat(3_000), '['.repeat(500), `${'1+'.repeat(600)}1`])
  test(`expression ${text.slice(0, 20)} is refused`, () => {
    assert.ok(checkExpression(text, variables))
    assert.throws(() => compileExpression(text, variables))
  })

test('an expression of another type than wanted is refused, and one that may have it is not', () => {
  assert.match(checkExpression('"text"', variables, 'bool') ?? '', /type string/)
  assert.equal(checkExpression('user.active', variables, 'bool'), undefined)
})

test('an expression that fails throws', () => {
  assert.throws(() => compileExpression('user.missing.deeper', variables).evaluate(values))
})

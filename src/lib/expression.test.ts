import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkExpression, compileExpression } from './expression.ts'
import { isBoundedPattern } from './expression_bounds.ts'

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
  ["user.email.matches('^[a-z]+@example[.]com$')", true],
  ["user.email.matches('@(example|other)[.]com$')", true],
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

for (const [pattern, expected] of [
  ['^[a-z]+@example\\.com$', true],
  ['^(a|b)c{2,3}$', true],
  ['^(?:abc)+$', true],
  ['^(abc)?d*$', true],
  ['^[0-9a-f]{64}$', true],
  ['^[a-z]{2,3}-[0-9]{4,8}$', true],
  ['^a{1,100}a{1,100}b$', false],
  ['(a+)+$', false],
  ['(a|a)*$', false],
  ['((a+)b)*', false],
  ['(?:(a{1,})){9}', false],
  ['(a)\\1', false],
  ['(?=a)b', false],
  ['(', false],
] as const)
  test(`pattern ${pattern} is ${expected ? 'taken' : 'refused'}`, () => {
    assert.equal(isBoundedPattern(pattern), expected)
  })

for (const text of [
  "user.email.matches('(a+)+$')",
  'user.email.matches(user.username)',
  "[user.email].exists(e, e.matches('(x*)*'))",
  "matches(user.email, '(a+)+')",
])
  test(`expression ${text} is refused, since it could take forever`, () => {
    assert.ok(checkExpression(text, variables))
  })

for (const pattern of ['^a*a*a*a*b$', '^.*.*.*x$', `${'a?'.repeat(25)}${'a'.repeat(25)}$`])
  test(`a text that pattern ${pattern.slice(0, 20)} nearly matches takes no longer than it is long`, () => {
    const expression = compileExpression(`user.name.matches('${pattern}')`, variables)
    const began = performance.now()
    assert.equal(expression.evaluate({ user: { name: `${'a'.repeat(4_000)}!` } }), false)
    // Searching takes hours.
    assert.ok(performance.now() - began < 10_000)
  })

for (const [text, problem] of [
  ['user.groups.all(a, user.groups.all(b, user.groups.all(c, a != b)))', /loops within/],
  [`[[1]]${'.map(x, x + x)'.repeat(5)}`, /too often/],
  [`[[1]]${'.map(x, [x, x])'.repeat(5)}`, /too often/],
  [
    `${Array.from({ length: 7 }, (_, i) => `cel.bind(v${i + 1}, v${i} + v${i}, `)
      .join('')
      .replaceAll('v0', 'user.name')}v7${')'.repeat(7)}`,
    /too often/,
  ],
] as const)
  test(`expression ${text.slice(0, 40)} is refused for what it could take`, () => {
    assert.match(checkExpression(text, variables) ?? '', problem)
  })

test('loops one after another, and one within another, are taken', () => {
  const text = "user.groups.filter(g, g != 'x').map(g, user.groups.exists(h, h + '!' == g) ? g : 'no ' + g)"
  assert.equal(checkExpression(text, variables), undefined)
})

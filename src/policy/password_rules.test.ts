import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { passwordRules } from '#/kinds/user_store.ts'
import { isExpired, judgePassword, type PasswordFacts, type Strength } from './password_rules.ts'

const rulesWith = (given: Parameters<typeof passwordRules.parse>[0] = {}) => passwordRules.parse(given)
const person = { username: 'amiller', email: 'anna.miller@example.com', name: 'Anna Müller' }
const found = { person, strength: 4, isBreached: false, isReused: false } as const
const codes = (plain: string, rules: object, facts: Partial<PasswordFacts> = {}) =>
  judgePassword(plain, rulesWith(rules), { ...found, ...facts }).map(({ code }) => code.replace('password_', ''))

test('without a word about it, a password wants eight characters and may not have leaked', () =>
  assert.deepEqual(rulesWith(), { minLength: 8, maxLength: 1_024, minStrength: 0, forbidPersonal: false, breached: true, history: 0 }))

const rows: [title: string, plain: string, rules: object, facts: Partial<PasswordFacts>, expected: string[]][] = [
  ['eight characters', 'abcdefgh', {}, {}, []],
  ['seven characters', 'abcdefg', {}, {}, ['too_short']],
  ['nothing', '', {}, {}, ['too_short']],
  ['seven characters of two units each', '😀'.repeat(7), {}, {}, ['too_short']],
  ['eight of them', '😀'.repeat(8), {}, {}, []],
  ['as long as may be', 'x'.repeat(20), { maxLength: 20 }, {}, []],
  ['one more', 'x'.repeat(21), { maxLength: 20 }, {}, ['too_long']],
  ['few characters of many bytes', 'ä'.repeat(600), {}, {}, ['too_long']],
  ['NUL', 'correct\0horse', {}, {}, ['malformed']],
  ['half a character', 'correct \ud800 horse', {}, {}, ['malformed']],
  ['strong enough', 'correct horse', { minStrength: 3 }, { strength: 3 }, []],
  ['not strong enough', 'correct horse', { minStrength: 3 }, { strength: 2 }, ['weak']],
  ['of unknown strength', 'correct horse', { minStrength: 1 }, { strength: undefined }, ['weak']],
  ['leaked', 'correct horse', {}, { isBreached: true }, ['breached']],
  ['leaked, which does not matter', 'correct horse', { breached: false }, { isBreached: true }, []],
  ['not looked up', 'correct horse', {}, { isBreached: undefined }, ['breached']],
  ['had before', 'correct horse', { history: 5 }, { isReused: true }, ['reused']],
  ['had before, which does not matter', 'correct horse', {}, { isReused: true }, []],
  ['not compared', 'correct horse', { history: 1 }, { isReused: undefined }, ['reused']],
  ['personal, which does not matter', 'amiller-1', {}, {}, []],
  ['the username in it', 'xxAMillerxx', { forbidPersonal: true }, {}, ['personal']],
  ['the username with signs between', 'x-a.m.i.l.l.e.r-x', { forbidPersonal: true }, {}, ['personal']],
  ['a word of the name, without its marks', 'muller-2026', { forbidPersonal: true }, {}, ['personal']],
  ['a word of the name in full width', 'ＡＮＮＡ-2026-x', { forbidPersonal: true }, {}, ['personal']],
  ['the mailbox', 'AnnaMiller!!', { forbidPersonal: true }, {}, ['personal']],
  ['the domain of the address', 'example.com rocks', { forbidPersonal: true }, {}, []],
  ['a short word of the name', 'jolly good fellow', { forbidPersonal: true }, { person: { username: 'jl7', name: 'Jo Li' } }, []],
  ['a short username', 'xx jl7 xx', { forbidPersonal: true }, { person: { username: 'jl7' } }, ['personal']],
  ['of nobody', 'correct horse', { forbidPersonal: true }, { person: { username: '', email: null, name: '--' } }, []],
  [
    'everything wrong at once',
    'anna',
    { minLength: 12, minStrength: 3, forbidPersonal: true, history: 3 },
    { strength: 0, isBreached: true, isReused: true },
    ['too_short', 'personal', 'weak', 'breached', 'reused'],
  ],
]
for (const [title, plain, rules, facts, expected] of rows)
  test(`a password: ${title}: ${expected.join(', ') || 'taken'}`, () => assert.deepEqual(codes(plain, rules, facts), expected))

test('a mistake says what its message fills in', () => {
  assert.deepEqual(judgePassword('short', rulesWith({ minLength: 14 }), found), [
    { code: 'password_too_short', values: { min: 14 }, detail: 'wants at least 14 characters' },
  ])
  assert.deepEqual(judgePassword('ä'.repeat(600), rulesWith(), found)[0]?.values, { max: 256 })
})

test('whatever stands around a username and however it is written, it is found', () =>
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), fc.boolean(), (before, after, isUpper) => {
      const middle = isUpper ? person.username.toUpperCase() : person.username
      // A mark that follows is one with the letter before it.
      assert.ok(codes(`${before} ${middle} ${after}`, { forbidPersonal: true }).includes('personal'))
    }),
  ))

test('stricter rules never take what weaker ones refuse', () =>
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.integer({ min: 8, max: 30 }),
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      (plain, minLength, minStrength, strength) => {
        const facts = { strength: strength as Strength }
        const weaker = codes(plain, { minLength, minStrength }, facts)
        const stricter = codes(plain, { minLength: minLength + 1, minStrength: Math.min(4, minStrength + 1), forbidPersonal: true }, facts)
        for (const code of weaker) assert.ok(stricter.includes(code), code)
      },
    ),
  ))

const now = new Date('2026-06-01T00:00:00Z')
const ages: [maxAge: string | undefined, hours: number, expected: boolean][] = [
  [undefined, 1_000_000, false],
  ['2160h', 2_159, false],
  ['2160h', 2_160, true],
  ['90d', 2_161, true],
  ['24h', -5, false],
]
for (const [maxAge, hours, expected] of ages)
  test(`a password of ${hours} hours, at most ${maxAge ?? 'any age'}: ${expected ? 'expired' : 'good'}`, () =>
    assert.equal(isExpired(new Date(now.getTime() - hours * 3_600_000), rulesWith({ maxAge }), now), expected))

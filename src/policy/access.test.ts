import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { everything, findExcess, type Grants, mayI, type Right, type Rule, rulesOf } from './access.ts'

const rule = (kinds: string[], namespaces: string[], verbs: string[]): Rule => ({ kinds, namespaces, verbs })
const readClients = rule(['AuthClient'], ['team-a'], ['get', 'list'])

describe('mayI', () => {
  const rows: [string, Grants, Right, boolean][] = [
    ['allows nothing without grants', [], { verb: 'get', kind: 'users' }, false],
    ['allows nothing by an empty list of rules', [[]], { verb: 'get', kind: 'users' }, false],
    ['allows everything by *', [everything], { verb: 'delete', kind: 'AuthServer', namespace: 'default' }, true],
    ['allows what a rule names', [[readClients]], { verb: 'get', kind: 'AuthClient', namespace: 'team-a' }, true],
    ['knows a kind by its plural', [[readClients]], { verb: 'list', kind: 'authclients', namespace: 'team-a' }, true],
    ['knows a plural by its kind', [[rule(['authpolicies'], ['*'], ['get'])]], { verb: 'get', kind: 'AuthPolicy', namespace: 'x' }, true],
    ['refuses another verb', [[readClients]], { verb: 'update', kind: 'AuthClient', namespace: 'team-a' }, false],
    ['refuses another namespace', [[readClients]], { verb: 'get', kind: 'AuthClient', namespace: 'team-b' }, false],
    ['refuses another kind', [[readClients]], { verb: 'get', kind: 'AuthPolicy', namespace: 'team-a' }, false],
    ['refuses all namespaces at once to who has one', [[readClients]], { verb: 'list', kind: 'AuthClient' }, false],
    [
      'refuses a thing without namespace to who has one namespace',
      [[rule(['events'], ['team-a'], ['*'])]],
      { verb: 'list', kind: 'events' },
      false,
    ],
    ['allows a thing by a rule for all namespaces', [[rule(['events'], ['*'], ['list'])]], { verb: 'list', kind: 'events' }, true],
    ['refuses a kind nobody defined', [[rule(['nonsense'], ['*'], ['*'])]], { verb: 'get', kind: 'nonsense' }, false],
    [
      'does not put halves of two rules together',
      [[rule(['User'], ['a'], ['get']), rule(['Group'], ['b'], ['get'])]],
      { verb: 'get', kind: 'User', namespace: 'b' },
      false,
    ],
    ['wants the scope of a token too', [everything, [readClients]], { verb: 'update', kind: 'AuthClient', namespace: 'team-a' }, false],
    ['wants the roles of its owner too', [[readClients], everything], { verb: 'get', kind: 'AuthClient', namespace: 'team-a' }, true],
    ['refuses a token whose owner has no role', [everything, []], { verb: 'get', kind: 'AuthClient', namespace: 'team-a' }, false],
  ]
  for (const [title, grants, right, expected] of rows) it(title, () => assert.equal(mayI(grants, right), expected))
})

describe('findExcess', () => {
  const rows: [string, Grants, Rule[], Right | undefined][] = [
    ['finds nothing in what is held', [[readClients]], [rule(['authclients'], ['team-a'], ['get'])], undefined],
    [
      'finds a verb more',
      [[readClients]],
      [rule(['AuthClient'], ['team-a'], ['get', 'delete'])],
      { kind: 'AuthClient', namespace: 'team-a', verb: 'delete' },
    ],
    [
      'finds a * where only all of today are held',
      [[rule(['*'], ['*'], ['get', 'list', 'create', 'update', 'delete'])]],
      [rule(['*'], ['*'], ['*'])],
      { kind: '*', namespace: '*', verb: '*' as 'get' },
    ],
    ['allows everything to who has everything', [everything], [rule(['*'], ['*'], ['*'])], undefined],
    [
      'finds everything where a scope narrows',
      [everything, [readClients]],
      [rule(['*'], ['team-a'], ['get'])],
      { kind: '*', namespace: 'team-a', verb: 'get' },
    ],
    [
      'adds rules up',
      [[rule(['User'], ['*'], ['get']), rule(['User'], ['*'], ['list'])]],
      [rule(['users'], ['*'], ['get', 'list'])],
      undefined,
    ],
  ]
  for (const [title, grants, rules, expected] of rows) it(title, () => assert.deepEqual(findExcess(grants, rules), expected))
})

describe('what is handed out without excess', () => {
  const kinds = fc.constantFrom('*', 'AuthClient', 'authclients', 'users', 'events', 'Role')
  const namespaces = fc.constantFrom('*', 'a', 'b')
  const verbs = fc.constantFrom('*', 'get', 'list', 'create', 'update', 'delete')
  const some = <Value>(value: fc.Arbitrary<Value>) => fc.uniqueArray(value, { minLength: 1, maxLength: 3 })
  const rules = fc.array(fc.record({ kinds: some(kinds), namespaces: some(namespaces), verbs: some(verbs) }), { maxLength: 4 })

  it('never lets the receiver do what the giver may not', () => {
    fc.assert(
      fc.property(
        fc.array(rules, { minLength: 1, maxLength: 2 }),
        rules,
        kinds,
        namespaces,
        verbs,
        (grants, given, kind, namespace, verb) => {
          const right = { kind, namespace, verb: verb as Right['verb'] }
          return findExcess(grants, given) !== undefined || !mayI([given], right) || mayI(grants, right)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('rulesOf', () => {
  const roles = [
    { rules: [rule(['User'], ['*'], ['get'])], subjects: { users: ['Alice'] } },
    { rules: [rule(['Group'], ['*'], ['get'])], subjects: { groups: ['staff'] } },
    { rules: [rule(['Role'], ['*'], ['get'])], subjects: {} },
  ]
  it('binds a user whatever the case of the name', () =>
    assert.deepEqual(rulesOf(roles, { username: 'alice', groups: [] }), roles[0]?.rules))
  it('binds through a group', () => assert.deepEqual(rulesOf(roles, { username: 'bob', groups: ['Staff'] }), roles[1]?.rules))
  it('binds through both', () => assert.equal(rulesOf(roles, { username: 'alice', groups: ['staff'] }).length, 2))
  it('gives nothing to anybody else', () => assert.deepEqual(rulesOf(roles, { username: 'carol', groups: ['guests'] }), []))
})

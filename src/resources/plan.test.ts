import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkResource, type Desired } from './check.ts'
import { orderByReference } from './plan.ts'

const desired = (kind: string, name: string, spec: object): { desired: Desired } => {
  const checked = checkResource({ apiVersion: 'signet.dev/v1alpha1', kind, metadata: { name }, spec })
  assert.ok(checked.ok, JSON.stringify(checked))
  return { desired: checked.desired }
}
const names = (items: { desired: Desired }[]) => items.map((item) => `${item.desired.kind.kind}/${item.desired.name}`)

test('plan: what is referred to comes first', () => {
  const items = [
    desired('Application', 'app', {
      displayName: 'App',
      authServerRef: { name: 's' },
      authClientRef: { name: 'c' },
      launchUrl: 'https://a.example',
    }),
    desired('ClaimMapper', 'm', { authServerRef: { name: 's' }, claims: [{ name: 'x', value: 'null' }] }),
    desired('AuthClient', 'c', { authServerRef: { name: 's' } }),
    desired('AuthServer', 's', { issuerUrl: 'https://s.example.com', userStoreRef: { name: 'u' } }),
    desired('UserStore', 'u', { type: 'postgres' }),
  ]
  assert.deepEqual(names(orderByReference(items)), ['UserStore/u', 'AuthServer/s', 'AuthClient/c', 'ClaimMapper/m', 'Application/app'])
})

test('plan: groups are found by their own names, and a circle is cut', () => {
  const items = [
    desired('Group', 'child', { parents: ['Everyone'] }),
    desired('Group', 'top', { name: 'Everyone' }),
    desired('Group', 'a', { parents: ['b'] }),
    desired('Group', 'b', { parents: ['a'] }),
  ]
  assert.deepEqual(names(orderByReference(items)), ['Group/top', 'Group/child', 'Group/b', 'Group/a'])
})

test('property: nothing is lost or doubled, and parents come before their children wherever there is no circle', () => {
  fc.assert(
    fc.property(fc.array(fc.subarray([0, 1, 2, 3, 4, 5, 6, 7]), { minLength: 8, maxLength: 8 }), fc.boolean(), (parents, acyclic) => {
      const items = parents.map((of, index) =>
        desired('Group', `g${index}`, {
          parents: of.filter((parent) => (acyclic ? parent > index : parent !== index)).map((parent) => `g${parent}`),
        }),
      )
      const ordered = names(orderByReference(items))
      assert.deepEqual(ordered.toSorted(), names(items).toSorted())
      if (!acyclic) return
      for (const { desired: group } of items)
        for (const parent of (group.parsed.parents as string[] | undefined) ?? [])
          assert.ok(ordered.indexOf(`Group/${parent}`) < ordered.indexOf(`Group/${group.name}`))
    }),
    { numRuns: 100 },
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crdOf, crdSpecOf, isJsonObject, type Json } from './crd.ts'
import { kinds } from './index.ts'

/** What Kubernetes asks of a structural schema, and what we ask besides: a description on every field. */
const faults = (schema: Json, path: string): string[] => {
  const found: string[] = []
  const preserves = schema['x-kubernetes-preserve-unknown-fields'] === true
  if (typeof schema.type !== 'string' && !preserves) found.push(`${path} has no type`)
  for (const word of ['anyOf', 'oneOf', 'allOf', 'not', '$ref', 'const', 'propertyNames'])
    if (word in schema) found.push(`${path} has ${word}`)
  if (schema.additionalProperties === false || ('properties' in schema && 'additionalProperties' in schema))
    found.push(`${path} has additionalProperties`)
  if (schema.type === 'array' && !isJsonObject(schema.items)) found.push(`${path} has no items`)
  if (isJsonObject(schema.properties))
    for (const [name, field] of Object.entries(schema.properties)) {
      if (!isJsonObject(field)) continue
      if (!field.description) found.push(`${path}.${name} has no description`)
      found.push(...faults(field, `${path}.${name}`))
    }
  if (isJsonObject(schema.items)) found.push(...faults(schema.items, `${path}[]`))
  if (isJsonObject(schema.additionalProperties)) found.push(...faults(schema.additionalProperties, `${path}.*`))
  return found
}

for (const kind of Object.values(kinds))
  test(`the CRD of ${kind.kind} is structural and describes every field of spec`, () => {
    assert.deepEqual(faults(crdSpecOf(kind), 'spec'), [])
  })

test('short names and plurals are each of one kind', () => {
  const names = Object.values(kinds).flatMap(({ plural, singular, shortName }) => [plural, singular, shortName])
  assert.equal(new Set(names).size, names.length)
})

test('a CRD has its names, a Ready column and a status of its own', () => {
  const { metadata, spec } = crdOf(kinds.AuthPolicy) as { metadata: Json; spec: { scope: string; names: Json; versions: [Json] } }
  assert.equal(metadata.name, 'authpolicies.signet.dev')
  assert.deepEqual([spec.scope, spec.names.plural, spec.names.shortNames], ['Namespaced', 'authpolicies', ['apol']])
  const [version] = spec.versions
  assert.deepEqual(version.subresources, { status: {} })
  assert.match(JSON.stringify(version.additionalPrinterColumns), /"Ready"/)
})

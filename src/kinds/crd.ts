/**
 * A kind as a CustomResourceDefinition. Kubernetes takes "structural" schemas only: no `additionalProperties: false`, no unions, no
 * references; so we keep the words it knows, and where a field takes more than one shape its `crd` says what to print.
 */
import { z } from 'zod'
import { group, type Kind, version } from './kind.ts'

type JsonValue = Json | JsonValue[] | string | number | boolean | null
export type Json = { [name: string]: JsonValue }

/** Words of a structural schema that are taken over as they are. */
const words = [
  'type',
  'description',
  'default',
  'enum',
  'pattern',
  'format',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
  'required',
]

export const isJsonObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const structural = (schema: Json): Json => {
  const { crd, description } = schema
  if (isJsonObject(crd)) return { ...(description === undefined ? {} : { description }), ...crd }
  const printed: Json = {}
  for (const word of words) {
    const value = schema[word]
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) printed[word] = value
  }
  if (isJsonObject(schema.properties))
    printed.properties = Object.fromEntries(Object.entries(schema.properties).map(([name, field]) => [name, structural(field as Json)]))
  else if (isJsonObject(schema.additionalProperties)) printed.additionalProperties = structural(schema.additionalProperties)
  if (isJsonObject(schema.items)) printed.items = structural(schema.items)
  return printed
}

const conditions: Json = {
  type: 'array',
  description: 'What is the case, and why.',
  items: {
    type: 'object',
    required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
    properties: {
      type: { type: 'string', description: 'Ready, Paused.' },
      status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether it is the case.' },
      reason: { type: 'string', description: 'Why, in one word for programs.' },
      message: { type: 'string', description: 'Why, for people.' },
      lastTransitionTime: { type: 'string', format: 'date-time', description: 'When status last changed.' },
      observedGeneration: { type: 'integer', format: 'int64', description: 'The generation it speaks of.' },
    },
  },
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
}

/** The schema of `spec` as Kubernetes takes it. */
export const crdSpecOf = (kind: Kind): Json => ({ description: `What is wanted of the ${kind.kind}.`, ...structuralOf(kind.spec) })

/** A structural schema of Kubernetes. */
export const structuralOf = (of: z.ZodType): Json => {
  // The JSON of a schema is JSON; its type in zod is wider.
  const { $schema: _schema, ...schema } = z.toJSONSchema(of, { io: 'input', target: 'openapi-3.0', unrepresentable: 'any' }) as Json
  return structural(schema)
}

export const crdOf = (kind: Kind): Json => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${kind.plural}.${group}`, labels: { 'app.kubernetes.io/part-of': 'signet' } },
  spec: {
    group,
    scope: 'Namespaced',
    names: {
      kind: kind.kind,
      listKind: `${kind.kind}List`,
      plural: kind.plural,
      singular: kind.singular,
      shortNames: [kind.shortName],
      categories: ['signet'],
    },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: kind.summary,
            required: ['spec'],
            properties: {
              apiVersion: { type: 'string', description: `${group}/${version}` },
              kind: { type: 'string', description: kind.kind },
              metadata: { type: 'object' },
              spec: crdSpecOf(kind),
              status: {
                type: 'object',
                description: 'What is the case.',
                'x-kubernetes-preserve-unknown-fields': true,
                properties: {
                  observedGeneration: { type: 'integer', format: 'int64', description: 'The generation that is in force.' },
                  conditions,
                },
              },
            },
          },
        },
      },
    ],
  },
})

/** The description of our REST (OpenAPI 3.1), made once from the table of endpoints and from the kinds, and a page to read it. */
import { z } from 'zod'
import { kinds } from '#/kinds/index.ts'
import type { Kind } from '#/kinds/kind.ts'
import { problemContentType, problemSchema } from '#/lib/problem_document.ts'
import { version } from '#/lib/version.ts'
import { type DescribedEndpoint, type Endpoint, endpoint } from './endpoint.ts'
import { flows } from './flows.ts'
import type { JsonSchema, OpenApi, Operation } from './openapi_document.ts'
import { renderReference } from './reference_page.ts'
import { anyResource, anyResourceList } from './resource_schema.ts'

export const jsonSchemaOf = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
  const { $schema, ...json } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // What a CRD is told in other words (src/kinds/fields.ts) is said in these words here too.
      const { crd } = jsonSchema as { crd?: JsonSchema }
      if (!crd) return
      delete jsonSchema.crd
      if (crd.type && !jsonSchema.type) Object.assign(jsonSchema, { type: crd.type })
    },
  })
  return json
}

const text: JsonSchema = { type: 'string' }
const textMap: JsonSchema = { type: 'object', additionalProperties: text }

const resourceSchema = (kind: Kind): JsonSchema => ({
  type: 'object',
  description: kind.summary,
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    apiVersion: { const: 'signet.dev/v1alpha1' },
    kind: { const: kind.kind },
    metadata: {
      type: 'object',
      required: ['name'],
      properties: {
        name: text,
        namespace: text,
        labels: textMap,
        annotations: textMap,
        generation: { type: 'integer', readOnly: true },
        resourceVersion: { type: 'string', description: 'Sent back, it must still be the one in force (412).' },
        creationTimestamp: { type: 'string', format: 'date-time', readOnly: true },
      },
    },
    spec: jsonSchemaOf(kind.spec, 'input'),
    status: { type: 'object', readOnly: true },
  },
})

const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

const schemaFor = (schema: z.ZodType, io: 'input' | 'output', kind: Kind | undefined): JsonSchema => {
  if (kind && schema === anyResource) return ref(kind.kind)
  if (kind && schema === anyResourceList)
    return {
      type: 'object',
      required: ['items', 'next'],
      properties: { items: { type: 'array', items: ref(kind.kind) }, next: { type: ['string', 'null'] } },
    }
  return jsonSchemaOf(schema, io)
}

const parametersOf = (schema: z.ZodObject | undefined, place: 'path' | 'query'): Operation['parameters'] =>
  Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { description, ...json } = jsonSchemaOf(field as z.ZodType, 'output')
    const required = place === 'path' || !(field as z.ZodType).safeParse(undefined).success
    return { name, in: place, required, ...(typeof description === 'string' ? { description } : {}), schema: json }
  })

const operationOf = (definition: DescribedEndpoint, kind: Kind | undefined): Operation => {
  const { method, path, tag, summary, access, params, query, body, answers } = definition
  const named = path.replace('/v1/', '').replace('{plural}', kind?.plural ?? '')
  const bodySchema = body && schemaFor(body.doc ?? body.schema, 'input', kind)
  return {
    operationId: `${method.toLowerCase()}_${named.replaceAll(/\W+/g, '_').replace(/_$/, '')}`,
    tags: [kind?.plural ?? tag],
    summary: kind ? summary.replace('resources', kind.plural).replace('resource', kind.kind) : summary,
    parameters: [...parametersOf(params, 'path').filter(({ name }) => !(kind && name === 'plural')), ...parametersOf(query, 'query')],
    ...(body && bodySchema
      ? {
          requestBody: {
            required: !body.isOptional,
            content: Object.fromEntries(body.contentTypes.map((type) => [type, { schema: bodySchema }])),
          },
        }
      : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { description, schema, contentType }]) => [
          status,
          Number(status) >= 400 && !schema
            ? { description, content: { [problemType]: { schema: ref('Problem') } } }
            : {
                description,
                ...(schema ? { content: { [contentType ?? 'application/json']: { schema: schemaFor(schema, 'output', kind) } } } : {}),
              },
        ]),
      ),
      default: { description: 'Refused.', content: { [problemType]: { schema: ref('Problem') } } },
    },
    security: securityOf(access),
  }
}

const securityOf = (access: DescribedEndpoint['access']): Operation['security'] =>
  access === 'public' ? [] : access === 'session' ? [{ session: [] }] : [{ token: [] }, { session: [] }]

const problemType = problemContentType.split(';')[0] ?? ''

export const describe = (endpoints: readonly Endpoint[], server: string): OpenApi => {
  const paths: OpenApi['paths'] = {}
  const add = (path: string, method: string, operation: Operation) => {
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation }
  }
  for (const definition of [...endpoints, ...flows]) {
    const path = `/api${definition.path}`
    if (!definition.path.includes('{plural}')) add(path, definition.method, operationOf(definition, undefined))
    else
      for (const kind of Object.values(kinds)) add(path.replace('{plural}', kind.plural), definition.method, operationOf(definition, kind))
  }
  const tags = new Set(Object.values(paths).flatMap((methods) => Object.values(methods).flatMap((operation) => operation.tags)))
  const summaries = new Map<string, string>(Object.values(kinds).map(({ plural, summary }) => [plural, summary]))
  return {
    openapi: '3.1.1',
    info: {
      title: 'Signet',
      version,
      description:
        'Times are RFC 3339 in UTC, durations texts such as `15m`. Lists are `{items, next}` with `cursor` and `limit`. Changes are JSON merge patches; `If-Match` and `If-None-Match` are honoured, also on reading (304). Refusals are problem details (RFC 9457).',
    },
    servers: [{ url: server }],
    tags: [...tags].map((name) => ({ name, ...(summaries.has(name) ? { description: summaries.get(name) ?? '' } : {}) })),
    paths,
    components: {
      schemas: {
        Problem: jsonSchemaOf(problemSchema, 'output'),
        ...Object.fromEntries(Object.values(kinds).map((kind) => [kind.kind, resourceSchema(kind)])),
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'signet_session',
          description: 'The session of a person; changes only from a page of the same origin.',
        },
      },
    },
  }
}

/** Both are made at the first request and kept: an issuer more is another address in them. */
export const openapi = (all: readonly Endpoint[]): Endpoint[] => {
  let described: OpenApi | undefined
  const of = (server: string): OpenApi => {
    described ??= describe([...all, ...own], '')
    return { ...described, servers: [{ url: server }] }
  }
  let page: { html: string; policy: string } | undefined
  const own: Endpoint[] = [
    endpoint({
      method: 'GET',
      path: '/openapi.json',
      tag: 'reference',
      summary: 'This description',
      access: 'public',
      answers: { 200: { description: 'OpenAPI 3.1.' } },
      handle: async ({ http }) => ({ body: of(http.authServer.issuerUrl) }),
    }),
    endpoint({
      method: 'GET',
      path: '/docs',
      tag: 'reference',
      summary: 'This description as a page',
      access: 'public',
      answers: { 200: { description: 'HTML.' } },
      handle: async () => {
        page ??= renderReference(of(''))
        return {
          headers: {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy': page.policy,
            'x-content-type-options': 'nosniff',
            'referrer-policy': 'no-referrer',
          },
          body: page.html,
        }
      },
    }),
  ]
  return own
}

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { kinds } from '#/kinds/index.ts'
import { type Api, issuerUrl, openApi as open } from '../../test/support/api.ts'
import type { JsonSchema, OpenApi, Operation } from './openapi_document.ts'

let api: Api
let document: OpenApi
before(async () => {
  api = await open({ env: { SIGNET_SMTP_URL: 'smtp://127.0.0.1:1', SIGNET_MAIL_FROM: 'signet@example.org' } })
  document = (await api.call<OpenApi>('GET', '/api/openapi.json', undefined, { token: null })).body
})
after(() => api.close())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )

const refsIn = (value: unknown): string[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, part]) => (key === '$ref' && typeof part === 'string' ? [part] : refsIn(part)))

describe('/api/openapi.json', () => {
  it('is OpenAPI 3.1 at this address', () => {
    assert.match(document.openapi, /^3\.1\./)
    assert.equal(document.servers[0]?.url, issuerUrl)
  })

  it('has every kind, and a description of every field of its spec', () => {
    for (const { kind, plural } of Object.values(kinds)) {
      assert.ok(document.components.schemas[kind], kind)
      assert.ok(document.paths[`/api/v1/namespaces/{namespace}/${plural}/{name}`]?.patch, plural)
    }
  })

  it('names each operation once, and every parameter of a path', () => {
    const ids = operations().map(({ operation }) => operation.operationId)
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    )
    for (const { path, operation } of operations()) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      assert.deepEqual(
        operation.parameters
          .filter((parameter) => parameter.in === 'path')
          .map(({ name }) => name)
          .sort(),
        named.sort(),
        path,
      )
    }
  })

  it('refers to nothing that is not in it', () => {
    const known = new Set(Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`))
    // A schema that refers to itself says so by a pointer of its own.
    assert.deepEqual(
      refsIn(document).filter((ref) => !known.has(ref) && !ref.startsWith('#/$defs')),
      [],
    )
  })

  it('answers what it says, to a table of calls', async () => {
    for (const [path, schema] of [
      ['/api/v1/users', 'get'],
      ['/api/v1/groups', 'get'],
      ['/api/v1/tokens', 'get'],
      ['/api/v1/events', 'get'],
    ] as const) {
      const described = document.paths[path]?.[schema]?.responses['200']?.content?.['application/json']?.schema
      assert.ok(described, path)
      const { body } = await api.call<Record<string, unknown>>('GET', path)
      const { properties = {}, required = [] } = described as { properties?: object; required?: string[] }
      assert.deepEqual(Object.keys(body).sort(), Object.keys(properties).sort())
      for (const name of required) assert.ok(name in body, `${path} ${name}`)
    }
  })

  it('has what a flow answers: a challenge, its refusal, its end', async () => {
    const path = '/api/v1/flows/{name}'
    const alternatives = (method: string, status: string): JsonSchema[] => {
      const [content] = Object.values(document.paths[path]?.[method]?.responses[status]?.content ?? {})
      return (content?.schema as { anyOf: JsonSchema[] } | undefined)?.anyOf ?? assert.fail(`${method} ${status}`)
    }
    const isOneOf = (body: Record<string, unknown>, schemas: JsonSchema[]) =>
      schemas.some((schema) => {
        const { properties, required } = schema as { properties: Record<string, { const?: unknown }>; required: string[] }
        const isKnown = ([name, value]: [string, unknown]) =>
          name in properties && [undefined, value].includes(properties[name]?.const as never)
        return required.every((name) => name in body) && Object.entries(body).every(isKnown)
      })
    const address = path.replace('{name}', 'authentication')
    const begun = await api.call<{ attempt: string }>('GET', address, undefined, { token: null })
    assert.ok(isOneOf(begun.body, alternatives('get', '200')), begun.text)
    const cookie = begun.headers['set-cookie']?.split(';')[0] ?? ''
    const post = (body: object) =>
      api.call<Record<string, unknown>>('POST', address, { attempt: begun.body.attempt, ...body }, { token: null, headers: { cookie } })
    const [challenge = {}] = alternatives('post', '200')
    const asked = await post({ stage: 'identification', username: 'nobody' })
    assert.ok(isOneOf(asked.body, [challenge]), asked.text)
    const [problemWithChallenge = {}] = alternatives('post', '400')
    const wrong = await post({ stage: 'password', password: 'wrong' })
    assert.equal(wrong.status, 400)
    assert.ok(isOneOf(wrong.body, [problemWithChallenge]), wrong.text)
    const declined = await post({ stage: 'password', decline: true })
    assert.ok(!isOneOf(declined.body, [challenge]) && isOneOf(declined.body, alternatives('post', '200')), declined.text)
    const [, problemAlone = {}] = alternatives('post', '400')
    const malformed = await post({ stage: 1 })
    assert.equal(malformed.status, 400)
    assert.ok(isOneOf(malformed.body, [problemAlone]), malformed.text)
  })
})

describe('/api/docs', () => {
  it('is a page without a script and without anything from elsewhere', async () => {
    const { status, headers, text } = await api.call('GET', '/api/docs', undefined, { token: null })
    assert.equal(status, 200)
    assert.match(headers['content-type'] ?? '', /^text\/html/)
    assert.match(headers['content-security-policy'] ?? '', /default-src 'none'/)
    assert.ok(
      !/<script|https?:\/\/(?!(localhost|127|www\.rfc|sign-in\.example|example))[^<"]*"/i.test(text.replace(/<code>.*?<\/code>/g, '')),
    )
    for (const { path } of operations()) assert.ok(text.includes(path), path)
  })
})

/** Values that people and programs get wrong, beside anything that JSON can say. */
const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '\0',
    '\ud800',
    '../..',
    '%00',
    "' or 1=1 --",
    '{{7*7}}',
    'x'.repeat(5_000),
    '00000000-0000-4000-8000-000000000000',
    'admin',
    '-1',
    '1e400',
    '*',
    '__proto__',
    'constructor',
  ),
)
const oddJson = fc.oneof(oddText, fc.jsonValue({ maxDepth: 3 }), fc.constantFrom<unknown>(null, [], {}, -1, 1e308, 2 ** 53, true))

/** Near enough to the schema that what is behind the first check is reached as well. */
const near = (schema: JsonSchema, name = '', depth = 0): fc.Arbitrary<unknown> => {
  const {
    $ref,
    type,
    properties,
    required = [],
    items,
    enum: values,
    const: only,
    anyOf,
    additionalProperties,
    pattern,
  } = schema as {
    $ref?: string
    type?: string | string[]
    properties?: Record<string, JsonSchema>
    required?: string[]
    items?: JsonSchema
    enum?: unknown[]
    const?: unknown
    anyOf?: JsonSchema[]
    additionalProperties?: JsonSchema | boolean
    pattern?: string
  }
  const odd = (arbitrary: fc.Arbitrary<unknown>) => fc.oneof({ weight: 40, arbitrary }, { weight: 1, arbitrary: oddJson })
  if (depth > 6) return oddJson
  if ($ref) return near(document.components.schemas[$ref.split('/').at(-1) ?? ''] ?? {}, name, depth + 1)
  if (values) return odd(fc.constantFrom(...values))
  if (only !== undefined) return odd(fc.constant(only))
  if (anyOf) return odd(fc.oneof(...anyOf.map((one) => near(one, name, depth + 1))))
  if (properties) {
    const writable = Object.entries(properties).filter(([field, property]) => !property.readOnly && field !== 'resourceVersion')
    const fields = Object.fromEntries(writable.map(([field, property]) => [field, near(property, field, depth + 1)]))
    const requiredKeys = required.filter((field) => field in fields)
    return odd(
      fc.oneof(
        { weight: 9, arbitrary: fc.record(fields, { requiredKeys }) },
        { weight: 1, arbitrary: fc.record(fields, { requiredKeys: [] }) },
      ),
    )
  }
  if (type === 'array') return odd(fc.array(near(items ?? {}, name, depth + 1), { maxLength: 3 }))
  if (type === 'object') {
    const value = typeof additionalProperties === 'object' ? near(additionalProperties, '', depth + 1) : oddJson
    return odd(fc.dictionary(fc.oneof(fc.constantFrom('app', 'team'), fc.string({ maxLength: 8 })), value, { maxKeys: 2 }))
  }
  if (type === 'boolean') return odd(fc.boolean())
  if (type === 'integer' || type === 'number') return odd(fc.integer())
  if (type === 'string') return odd(textFor(name, pattern))
  return oddJson
}

const textFor = (name: string, pattern: string | undefined): fc.Arbitrary<unknown> => {
  const known: Record<string, string[]> = {
    name: ['one', 'two', 'three'],
    namespace: ['default'],
    locale: ['de'],
    email: ['one@example.org', 'two@example.org'],
    kinds: ['users', 'AuthClient', '*'],
    namespaces: ['default', '*'],
    expiresIn: ['15m'],
    overlap: ['15m', '0s'],
    password: ['a password', 'another password'],
    username: ['one', 'two', 'three'],
    groups: ['one', 'two'],
    members: ['one', 'two'],
    redirectUris: ['https://a.example/cb', 'http://localhost/cb'],
    issuerUrl: ['https://a.example', 'http://localhost:9000/b'],
    scopes: ['openid', 'profile'],
    expression: ['user.name', '1 +'],
    attempt: [there.attempt ?? ''],
    stage: ['identification', 'password'],
  }
  const plain = known[name] ?? ['https://a.example/cb', '15m', 'a@example.org', 'openid', '*']
  return fc.oneof(fc.constantFrom(...plain), ...(pattern ? [fc.stringMatching(new RegExp(pattern))] : []))
}

const encode = (text: string) => encodeURIComponent(text.toWellFormed())

/** Things that are there, so that what comes after finding them is reached. */
const there: Record<string, string> = {}
const known = (name: string, path: string): string[] => {
  if (path.includes('/flows/')) return ['authentication', 'authorization', 'invalidation']
  if (name === 'namespace') return ['default', 'default', 'default', 'team-a', '*']
  if (name === 'id') return [there[path.split('/')[3] ?? ''] ?? '']
  return ['one', 'two', 'three']
}

const requestTo = (path: string, method: string, { parameters, requestBody }: Operation) => {
  const pathParameters = parameters.filter((parameter) => parameter.in === 'path')
  const queryParameters = parameters.filter((parameter) => parameter.in === 'query')
  const [contentType, content] = Object.entries(requestBody?.content ?? {})[0] ?? []
  return fc.record({
    method: fc.constant(method),
    path: fc
      .tuple(
        ...pathParameters.map(({ name }) =>
          fc.oneof(
            { weight: 1, arbitrary: oddText },
            { weight: 12, arbitrary: fc.constant(0).chain(() => fc.constantFrom(...known(name, path))) },
          ),
        ),
      )
      .map((values) =>
        pathParameters.reduce((address, { name }, index) => address.replace(`{${name}}`, encode(values[index] ?? '')), path),
      ),
    query: fc.oneof(
      { weight: 5, arbitrary: fc.constant('') },
      {
        weight: 1,
        arbitrary: fc
          .array(
            fc.tuple(
              fc.constantFrom(...queryParameters.map(({ name }) => name), 'unknown'),
              fc.oneof(oddText, fc.constantFrom('1', 'true', 'app=one')),
            ),
            {
              maxLength: 2,
            },
          )
          .map((pairs) => pairs.map(([name, value]) => `${name}=${encode(value)}`).join('&')),
      },
    ),
    body: content ? near(content.schema, '') : fc.constant(undefined),
    contentType: fc.constant(contentType ?? 'application/json'),
    headers: fc.record(
      { cookie: fc.constant(there.cookie ?? ''), 'if-match': fc.stringMatching(/^[!-~]{0,20}$/) },
      { requiredKeys: ['cookie'] },
    ),
  })
}

describe('every operation', () => {
  before(async () => {
    for (const [path, body] of [
      ['users', { username: 'one' }],
      ['groups', { name: 'one' }],
      ['tokens', { name: 'one' }],
    ] as const)
      there[path] = (await api.call<{ id: string }>('POST', `/api/v1/${path}`, body)).body.id
    const path = '/api/v1/namespaces/default'
    await api.call('POST', `${path}/userstores`, { metadata: { name: 'default' }, spec: { type: 'postgres' } })
    await api.call('POST', `${path}/authservers`, { metadata: { name: 'one' }, spec: { issuerUrl } })
    const client = { authServerRef: { name: 'one' }, redirectUris: ['https://a.example/cb'], scopes: ['openid'] }
    await api.call('POST', `${path}/authclients`, { metadata: { name: 'one' }, spec: client })
    const begun = await api.call<{ attempt: string }>('GET', '/api/v1/flows/authentication', undefined, { token: null })
    there.attempt = begun.body.attempt
    there.cookie = begun.headers['set-cookie']?.split(';')[0] ?? ''
  })

  it('answers anything at all with a registered status, a problem where it refuses, and never a 5xx', async () => {
    const requests = operations().map(({ path, method, operation }) => requestTo(path, method, operation))
    await fc.assert(
      fc.asyncProperty(fc.oneof(...requests), async ({ method, path, query, body, contentType, headers }) => {
        const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body) ?? 'null')
        const {
          status,
          headers: answered,
          text,
        } = await api.call(method, query ? `${path}?${query}` : path, sent, { contentType, headers })
        assert.ok(status < 500, `${status}: ${text.slice(0, 500)}`)
        if (status >= 400 && !(path === '/api/v1/apply' && status === 422))
          assert.match(answered['content-type'] ?? '', /^application\/(problem\+)?json/)
        assert.ok(!/\n\s+at /.test(text), 'no stack leaves')
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 600) },
    )
  })
})

/**
 * Missing, repeated, over-long, wrong-type and wrong-encoding parameters get the registered error, never a 5xx: for everything the
 * OpenAPI description names and for every OAuth endpoint. What fails is printed with its seed; `FC_SEED=…` repeats a run.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { newVisitor } from '../support/http.ts'
import { basic, type ClientCredentials, makeClient, redirectUri } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

const seed = process.env.FC_SEED ? { seed: Number(process.env.FC_SEED) } : {}
const runs = (numRuns: number) => ({ numRuns, ...seed })

/** Texts that break what is written carelessly: NUL, lone surrogates, SQL and path metacharacters, numbers out of range, great length. */
const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '\0',
    'a\0b',
    '\uD800',
    "' or 1=1 --",
    '%00',
    '../../etc/passwd',
    '-1',
    '1e309',
    'NaN',
    'null',
    'true',
    '[]',
    '{}',
    '__proto__',
    'constructor',
    '9'.repeat(40),
    'x'.repeat(9_000),
    '\r\nset-cookie: a=b',
    'ⓐ́'.repeat(50),
    '00000000-0000-0000-0000-000000000000',
  ),
)

/** Percent-encoding as a program would make it, and as none should. */
const encoded = fc.oneof(
  { weight: 4, arbitrary: nasty.map((text) => encodeURIComponent(text.toWellFormed())) },
  { weight: 1, arbitrary: fc.constantFrom('%', '%zz', '%ff', '%c3%28', '%ed%a0%80', '%00', '+', '%u0041', 'a%0d%0ab') },
)

interface Schema {
  type?: string
  enum?: unknown[]
  properties?: Record<string, Schema>
  items?: Schema
  [keyword: string]: unknown
}
interface Operation {
  parameters?: { name: string; in: string; schema?: Schema }[]
  requestBody?: { content?: Record<string, { schema?: Schema }> }
  responses?: Record<string, unknown>
}

const anyValue = fc.oneof(
  nasty,
  fc.jsonValue({ maxDepth: 2 }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(nasty, { maxLength: 3 }),
)

/** Bodies near what is described: right names with wrong values, some missing, some unknown. */
const bodyOf = (schema: Schema | undefined): fc.Arbitrary<string> => {
  const names = Object.keys(schema?.properties ?? {})
  const near = fc
    .dictionary(fc.oneof(fc.constantFrom('spec', 'metadata', ...names), fc.string({ maxLength: 8 })), anyValue, { maxKeys: 6 })
    .map((value) => JSON.stringify(value))
  return fc.oneof(
    { weight: 6, arbitrary: near },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '',
        '{',
        '[',
        '"',
        'null',
        '[]',
        '{"a":',
        '{"__proto__":{"x":1}}',
        '{"a":1,"a":2}',
        '['.repeat(5_000),
        `"${'x'.repeat(200_000)}"`,
        '\u0000',
        '&a [*a]',
      ),
    },
  )
}

describe('bad input', () => {
  let signet: Signet
  let client: ClientCredentials
  let operations: { path: string; method: string; operation: Operation }[]
  before(async () => {
    signet = await startSignet()
    client = await makeClient(signet, 'clumsy')
    const { paths } = (await (await fetch(`${signet.issuer}/api/openapi.json`)).json()) as {
      paths: Record<string, Record<string, Operation>>
    }
    operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => ['get', 'put', 'post', 'patch', 'delete'].includes(method))
        .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
    )
  })
  after(() => signet.stop())

  const seen = (response: Response, text: string, what: string) => {
    assert.ok(response.status < 500, `${what}: ${response.status} ${text.slice(0, 500)}`)
    assert.doesNotMatch(text, /\n\s+at |node_modules|\.ts:\d+/, `${what}: a stack is shown`)
  }

  test('REST answers problem details below 500 to anything sent where the OpenAPI description says', async () => {
    assert.ok(operations.length > 20, `${operations.length} operations`)
    for (const { path, method, operation } of operations) {
      const parameters = operation.parameters ?? []
      const query = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
      const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
      const request = fc.record({
        segments: fc.array(encoded, { minLength: 8, maxLength: 8 }),
        keepPath: fc.boolean(),
        query: fc.array(fc.tuple(fc.constantFrom('unknown', ...query), encoded), { maxLength: 4 }),
        body: bodyOf(content?.schema),
        type: fc.oneof(
          { weight: 5, arbitrary: fc.constant(type ?? 'application/json') },
          {
            weight: 1,
            arbitrary: fc.constantFrom('text/plain', 'application/xml', 'multipart/form-data', 'application/json; charset=utf-16', ';;'),
          },
        ),
      })
      await fc.assert(
        fc.asyncProperty(request, async (one) => {
          let index = 0
          // A dot segment would be another address before it is sent.
          const address = path.replace(/\{([^}]+)\}/g, (_, name: string) =>
            one.keepPath && /namespace/.test(name) ? 'default' : (one.segments[index++] ?? 'x').replace(/^\.+$/, 'x') || 'x',
          )
          const search = one.query.map(([name, value]) => `${name}=${value}`).join('&')
          const what = `${method} ${address.slice(0, 200)}?${search.slice(0, 300)} ${one.type} ${one.body.slice(0, 300)}`
          const response = await fetch(`${signet.issuer}${address}${search ? `?${search}` : ''}`, {
            method,
            headers: { authorization: `Bearer ${signet.token}`, ...(method === 'GET' ? {} : { 'content-type': one.type }) },
            ...(method === 'GET' || method === 'DELETE' ? {} : { body: one.body }),
            signal: AbortSignal.timeout(20_000),
          })
          const text = await response.text()
          seen(response, text, what)
          if (response.status >= 400 && response.status !== 431 && !path.endsWith('/apply'))
            assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/, `${what}: ${response.status} ${text}`)
        }),
        runs(12),
      )
    }
  })

  /** RFC 6749, 6750, 7009, 7662, 8628, 8693, 8707, 9126, 9449, OpenID Connect Core and RP-Initiated Logout. */
  const registered = new Set(
    `invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope access_denied unsupported_response_type
    server_error temporarily_unavailable invalid_token insufficient_scope authorization_pending slow_down expired_token unsupported_token_type invalid_target
    invalid_dpop_proof use_dpop_nonce interaction_required login_required account_selection_required consent_required invalid_request_uri invalid_request_object
    request_not_supported request_uri_not_supported registration_not_supported invalid_redirect_uri invalid_client_metadata unmet_authentication_requirements invalid_authorization_details`.split(
      /\s+/,
    ),
  )
  const grants = [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'password',
    'implicit',
  ]
  const endpoints = {
    '/oauth2/token': [
      'grant_type',
      'code',
      'redirect_uri',
      'code_verifier',
      'refresh_token',
      'scope',
      'device_code',
      'subject_token',
      'subject_token_type',
      'actor_token',
      'actor_token_type',
      'requested_token_type',
      'audience',
      'resource',
      'client_id',
      'client_secret',
      'client_assertion',
      'client_assertion_type',
    ],
    '/oauth2/introspect': ['token', 'token_type_hint', 'client_id', 'client_secret'],
    '/oauth2/revoke': ['token', 'token_type_hint', 'client_id', 'client_secret'],
    '/oauth2/par': [
      'client_id',
      'response_type',
      'redirect_uri',
      'scope',
      'state',
      'nonce',
      'code_challenge',
      'code_challenge_method',
      'request',
      'request_uri',
      'max_age',
      'prompt',
      'claims',
      'resource',
      'dpop_jkt',
      'response_mode',
    ],
    '/oauth2/device': ['client_id', 'scope', 'resource', 'claims', 'max_age'],
    '/oauth2/userinfo': ['access_token'],
    '/oauth2/register': ['redirect_uris'],
  }
  const right: Record<string, string> = {
    response_type: 'code',
    redirect_uri: encodeURIComponent(redirectUri),
    scope: 'openid',
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
    token: 'x'.repeat(43),
    subject_token_type: encodeURIComponent('urn:ietf:params:oauth:token-type:access_token'),
    client_assertion_type: encodeURIComponent('urn:ietf:params:oauth:client-assertion-type:jwt-bearer'),
  }

  for (const [path, names] of Object.entries(endpoints))
    test(`POST ${path} answers a registered error below 500`, async () => {
      const parameter = fc
        .tuple(fc.constantFrom(...names, 'unknown'), encoded, fc.boolean())
        .map(
          ([name, wrong, isRight]) =>
            `${name}=${name === 'grant_type' ? encodeURIComponent(grants[wrong.length % grants.length] ?? '') : isRight && right[name] ? right[name] : wrong}`,
        )
      const request = fc.record({
        parameters: fc.array(parameter, { maxLength: 8 }),
        type: fc.oneof(
          { weight: 8, arbitrary: fc.constant('application/x-www-form-urlencoded') },
          {
            weight: 1,
            arbitrary: fc.constantFrom('application/json', 'text/plain', 'application/x-www-form-urlencoded; charset=utf-16', ';'),
          },
        ),
        credentials: fc.oneof(
          { weight: 4, arbitrary: fc.constant('right') },
          {
            weight: 1,
            arbitrary: fc.constantFrom(
              'none',
              'Basic !!!',
              'Basic Og==',
              'Basic',
              `Basic ${Buffer.from('a\0b:c\0d').toString('base64')}`,
              'Bearer x',
              `Bearer ${'x'.repeat(3_000)}`,
              'DPoP a.b.c',
              `Basic ${Buffer.from('%zz:%ff').toString('base64')}`,
            ),
          },
        ),
        proof: fc.oneof(
          { weight: 4, arbitrary: fc.constant(undefined) },
          { weight: 1, arbitrary: fc.constantFrom('x', 'a.b.c', `${Buffer.from('{"typ":"dpop+jwt"}').toString('base64url')}.e30.x`) },
        ),
      })
      await fc.assert(
        fc.asyncProperty(request, async ({ parameters, type, credentials, proof }) => {
          const authorization: Record<string, string> =
            credentials === 'right' ? basic(client) : credentials === 'none' ? {} : { authorization: credentials }
          const response = await fetch(`${signet.issuer}${path}`, {
            method: 'POST',
            headers: { 'content-type': type, ...authorization, ...(proof ? { dpop: proof } : {}) },
            body: parameters.join('&'),
            signal: AbortSignal.timeout(20_000),
          })
          const text = await response.text()
          const what = `${path} ${type} ${credentials.slice(0, 40)} ${parameters.join('&').slice(0, 400)}`
          seen(response, text, what)
          if (response.status >= 400 && response.status !== 404) {
            const { error } = text
              ? (JSON.parse(text) as { error?: string })
              : { error: /error="([^"]+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1] }
            if (error !== undefined || text) assert.ok(registered.has(error ?? ''), `${what}: ${response.status} ${text}`)
          }
        }),
        runs(120),
      )
    })

  for (const path of ['/oauth2/authorize', '/oauth2/end-session'])
    test(`GET ${path} answers a page or the client, below 500`, async () => {
      const names = path.endsWith('authorize')
        ? ['client_id', ...endpoints['/oauth2/par'], 'id_token_hint', 'login_hint', 'ui_locales', 'acr_values', 'display', 'registration']
        : ['id_token_hint', 'logout_hint', 'client_id', 'post_logout_redirect_uri', 'state', 'ui_locales']
      const parameter = fc
        .tuple(fc.constantFrom(...names), encoded, fc.boolean())
        .map(
          ([name, wrong, isRight]) =>
            `${name}=${isRight && name === 'client_id' ? encodeURIComponent(client.client_id) : isRight && right[name] ? right[name] : wrong}`,
        )
      const base = path.endsWith('authorize')
        ? fc.constantFrom(
            '',
            `client_id=${encodeURIComponent(client.client_id)}&response_type=code&redirect_uri=${right.redirect_uri}&scope=openid&code_challenge=${right.code_challenge}&code_challenge_method=S256`,
          )
        : fc.constant('')
      await fc.assert(
        fc.asyncProperty(base, fc.array(parameter, { maxLength: 6 }), async (start, parameters) => {
          const search = [start, ...parameters].filter(Boolean).join('&')
          if (search.length > 15_000) return
          const response = await fetch(`${signet.issuer}${path}?${search}`, { redirect: 'manual', signal: AbortSignal.timeout(20_000) })
          const text = await response.text()
          seen(response, text, search.slice(0, 600))
          const location = response.headers.get('location')
          if (location && new URL(location, signet.issuer).origin !== signet.issuer) {
            const target = new URL(location)
            assert.equal(`${target.origin}${target.pathname}`, redirectUri, 'only to where the client said')
            const error = target.searchParams.get('error') ?? new URLSearchParams(target.hash.slice(1)).get('error')
            assert.ok(registered.has(error ?? ''), `${search.slice(0, 600)}: ${location}`)
          }
        }),
        runs(150),
      )
    })

  test('a sign-in form takes anything and answers below 500', async () => {
    const visitor = newVisitor(signet.issuer)
    const page = await visitor.open('/flow/authentication')
    const { attempt = '', stage = '' } = page.forms[0]?.fields ?? {}
    const parameter = fc
      .tuple(fc.constantFrom('attempt', 'stage', 'username', 'password', 'unknown', 'decline'), encoded)
      .map(([name, value]) => `${name}=${value}`)
    const type = fc.oneof(
      { weight: 6, arbitrary: fc.constant('application/x-www-form-urlencoded') },
      { weight: 1, arbitrary: fc.constantFrom('application/json', 'text/plain', 'multipart/form-data', '') },
    )
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(parameter, { maxLength: 5 }), type, async (own, parameters, contentType) => {
        const body = [...(own ? [`attempt=${encodeURIComponent(attempt)}`, `stage=${stage}`] : []), ...parameters].join('&')
        for (const path of ['/flow/authentication', '/api/v1/flows/authentication', '/flow/nothing', page.forms[0]?.action ?? '/']) {
          const response = await visitor.request(path, {
            method: 'POST',
            body,
            headers: { 'content-type': contentType, origin: signet.issuer, 'sec-fetch-site': 'same-origin' },
          })
          seen(response, await response.text(), `${path} ${contentType} ${body.slice(0, 400)}`)
        }
      }),
      runs(60),
    )
  })

  test('addresses that no one has are 404, methods that none takes 405 or 404, and bodies without end are cut', async () => {
    for (const path of [
      '/nothing',
      '/oauth2/nothing',
      '/api/v1/nothing',
      '/.well-known/nothing',
      '/flow/nothing',
      '/account/nothing',
      '//evil.example',
      '/%2e%2e/x',
      '/%zz',
      '/api/v1/%00',
    ])
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'PROPFIND']) {
        const response = await fetch(`${signet.issuer}${path}`, { method, redirect: 'manual' })
        const text = await response.text()
        seen(response, text, `${method} ${path}`)
        if (method === 'GET' && path !== '/%2e%2e/x') assert.ok(response.status >= 300, `${method} ${path}: ${response.status}`)
      }
    const large = 'a'.repeat(6_000_000)
    for (const [path, type] of [
      ['/oauth2/token', 'application/x-www-form-urlencoded'],
      ['/api/v1/users', 'application/json'],
      ['/flow/authentication', 'application/x-www-form-urlencoded'],
    ] as const) {
      const response = await fetch(`${signet.issuer}${path}`, {
        method: 'POST',
        body: large,
        headers: { 'content-type': type, authorization: `Bearer ${signet.token}`, origin: signet.issuer },
      }).catch(() => undefined)
      if (response) assert.ok([400, 413].includes(response.status), `${path}: ${response.status}`)
    }
    assert.equal((await fetch(`${signet.issuer}/-/health/ready`)).status, 200)
  })
})

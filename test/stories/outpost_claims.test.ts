/** Headers that an application states, filled from claims that ClaimMappers make for it, through every way an application is told. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, type Guest, openGuest, signIn, startUpstream, type Told, type Upstream } from '../support/guarded.ts'
import { newVisitor, type Visitor } from '../support/http.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'
const script = { accept: 'application/json', 'sec-fetch-mode': 'cors' }

describe('headers filled from claims', () => {
  let signet: Signet
  let upstream: Upstream
  let annaId: string
  const at = (name: string) => `${name}.localhost:${signet.port}`

  const application = (name: string, externalUrl: string, proxy: string) => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default, labels: { app: ${name} } }
spec:
  displayName: ${name}
  authServerRef: { name: default }
  proxy: { externalUrl: '${externalUrl}', ${proxy} }
---`
  const mapper = (name: string, app: string, claims: string) => `
apiVersion: signet.dev/v1alpha1
kind: ClaimMapper
metadata: { name: ${name}, namespace: default }
spec:
  authServerRef: { name: default }
  clientSelector: { app: ${app} }
  claims:
${claims.replace(/^/gm, '    ')}
---`
  const stated = (...headers: [header: string, claim: string][]) =>
    `claims: [${headers.map(([header, claim]) => `{ header: ${header}, claim: ${claim} }`).join(', ')}]`
  const wikiHeaders: [string, string][] = [
    ['X-Department', 'department'],
    ['X-Cost-Center', 'cost_center'],
    ['Roles', 'roles'],
    ['X-Level', 'level'],
    ['X-Badge', 'badge'],
    ['X-Story', 'story'],
    ['X-Phone', 'phone_number'],
    ['X-Nothing', 'nothing'],
  ]
  const wiki = (headers: [string, string][]) =>
    application(
      'wiki',
      `http://${at('wiki')}`,
      `mode: proxy, upstreamUrl: 'http://127.0.0.1:${upstream.port}', publicPaths: ['/health'], headers: { jwt: true, ${stated(...headers)} }`,
    )
  const enter = async (guest: Guest, host: string, username: string, visitor?: Visitor) =>
    await signIn(signet, guest, { host, start: '/outpost.signet/start', answers: { username, password }, ...(visitor && { visitor }) })
  const forwarded = (host: string, path: string) => ({
    'x-forwarded-proto': 'http',
    'x-forwarded-host': host,
    'x-forwarded-uri': path,
    'x-forwarded-method': 'GET',
    'x-original-url': `http://${host}${path}`,
  })

  before(async () => {
    signet = await startSignet()
    upstream = await startUpstream()
    for (const [username, attributes] of [
      [
        'anna',
        {
          department: 'K\u00f6ln | Nord',
          cost: '4711',
          roles: ['author', 'a|admin', 'editor'],
          story: 's'.repeat(6_000),
          phone_number: '+49 1',
        },
      ],
      ['bert', {}],
    ] as const) {
      const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, email: `${username}@example.com`, attributes })
      assert.equal(made.status, 201, made.text)
      if (username === 'anna') annaId = made.body.id
      await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    }
    await signet.apply(
      mapper(
        'of-wiki',
        'wiki',
        [
          "- { name: department, value: 'has(user.attributes.department) ? user.attributes.department : null' }",
          "- { name: cost_center, value: 'has(user.attributes.cost) ? user.attributes.cost : null' }",
          "- { name: roles, value: 'has(user.attributes.roles) ? user.attributes.roles : null' }",
          "- { name: level, value: '3' }",
          `- { name: badge, value: '{"number": 1}' }`,
          "- { name: story, value: 'has(user.attributes.story) ? user.attributes.story : null' }",
        ].join('\n'),
      ) +
        mapper('of-one', 'one', `- { name: role, value: '"admin of one"' }\n- { name: entitlements, value: '["close-month"]' }`) +
        mapper('of-two', 'two', `- { name: role, value: '"reader of two"' }`) +
        wiki(wikiHeaders) +
        application(
          'plain',
          `http://${at('plain')}`,
          `mode: forward_single, publicPaths: ['/health'], headers: { ${stated(['X-Role', 'role'])} }`,
        ) +
        application(
          'one',
          `http://${at('one.apps')}`,
          `mode: forward_domain, cookieDomain: apps.localhost, headers: { ${stated(['X-Role', 'role'])} }`,
        ) +
        application(
          'two',
          `http://${at('two.apps')}`,
          `mode: forward_domain, cookieDomain: apps.localhost, headers: { ${stated(['X-Role', 'role'])} }`,
        ),
    )
  })
  after(async () => {
    await signet?.stop()
    await upstream?.stop()
  })

  const told = (body: string) => JSON.parse(body) as Told
  const claimsOfJwt = (jwt: unknown) =>
    JSON.parse(Buffer.from(String(jwt).split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

  test('are told to the application, also within the JWT, and what is too large is left out of the sign-in', async () => {
    const guest = openGuest(signet.port)
    await enter(guest, at('wiki'), 'anna')
    const { status, body } = await guest.open(at('wiki'), '/page')
    assert.equal(status, 200, body)
    const { headers } = told(body)
    assert.equal(Buffer.from(String(headers['x-department']), 'latin1').toString(), 'K\u00f6ln | Nord')
    assert.deepEqual(
      ['x-cost-center', 'roles', 'x-level', 'x-badge', 'x-story', 'x-phone', 'x-nothing'].map((name) => headers[name]),
      ['4711', 'author|editor', '3', undefined, undefined, '+49 1', undefined],
    )
    const claims = claimsOfJwt(headers['x-signet-jwt'])
    assert.deepEqual([claims.roles, claims.level, claims.badge, claims.sub], [['author', 'a|admin', 'editor'], 3, undefined, annaId])
    const line = await until(() =>
      signet
        .logs()
        .split('\n')
        .find((text) => text.includes('outpost.claims.left_out')),
    )
    assert.match(line, /"story"/)
    assert.ok(!line.includes('sss'))
  })

  test('from outside never arrive, however they are written', async () => {
    const guest = openGuest(signet.port)
    await enter(guest, at('wiki'), 'anna')
    const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '-')
    for (const [name] of wikiHeaders)
      for (const form of [
        name,
        name.toLowerCase(),
        name.toUpperCase(),
        ...['_', '.', '~', '!', '*', "'"].flatMap((letter) => [name.replaceAll('-', letter), name.replace('-', letter)]),
      ])
        for (const open of [
          () => ask(signet.port, at('wiki'), '/health', { headers: { [form]: 'root' } }),
          () => guest.open(at('wiki'), '/page', { headers: { [form]: 'root' } }),
          () => guest.open(at('wiki'), '/page', { headers: { [form]: 'root', connection: `close, ${name}, ${form}` } }),
        ]) {
          assert.equal((await open()).status, 200, form)
          const { raw = [] } = upstream.last() ?? {}
          const values = raw.filter((_, index) => index % 2 === 1 && plain(raw[index - 1] ?? '') === plain(name))
          assert.ok(!values.includes('root') && values.length < 2, `${form} ${values}`)
        }
    assert.equal(told((await guest.open(at('wiki'), '/page', { headers: { connection: 'close, x-level' } })).body).headers['x-level'], '3')
  })

  test('are there in every answer to a proxy, empty where there is nothing to say', async () => {
    const guest = openGuest(signet.port)
    await enter(guest, at('plain'), 'anna')
    const { token } = (
      await signet.api<{ token: string }>('POST', '/api/v1/tokens', {
        name: 'app',
        user: 'anna',
        scope: { kinds: ['applications'], namespaces: ['default'], verbs: ['use'] },
      })
    ).body
    for (const server of ['nginx', 'traefik', 'caddy', 'envoy/health'])
      for (const [who, answer] of [
        [
          'whoever has no such claim',
          await guest.open(at('plain'), `/outpost.signet/auth/${server}`, { headers: forwarded(at('plain'), '/health') }),
        ],
        ['nobody', await ask(signet.port, at('plain'), `/outpost.signet/auth/${server}`, { headers: forwarded(at('plain'), '/health') })],
        [
          'a program',
          await ask(signet.port, at('plain'), `/outpost.signet/auth/${server.replace('health', 'api')}`, {
            headers: { ...forwarded(at('plain'), '/api'), authorization: `Bearer ${token}`, 'x-role': 'root' },
          }),
        ],
      ] as const) {
        assert.equal(answer.status, 200, `${server} ${who} ${answer.body}`)
        assert.equal(answer.headers['x-role'], '', `${server} ${who}`)
      }
    const program = await ask(signet.port, at('wiki'), '/api', { headers: { authorization: `Bearer ${token}`, 'X-Level': '9' } })
    assert.deepEqual([program.status, told(program.body).headers['x-level']], [200, undefined])
  })

  test('are those of the application itself, also where one sign-in serves several', async () => {
    const guest = openGuest(signet.port)
    const visitor = newVisitor(signet.issuer)
    const role = async (host: string) => {
      const { status, headers } = await guest.open(at(host), '/outpost.signet/auth/traefik', {
        headers: { ...forwarded(at(host), '/'), ...script },
      })
      return [status, headers['x-role'], headers['x-signet-entitlements']]
    }
    await enter(guest, at('one.apps'), 'bert', visitor)
    assert.deepEqual(await role('one.apps'), [200, 'admin of one', 'close-month'])
    assert.deepEqual(await role('two.apps'), [401, undefined, undefined])
    // Signed in there already, they are asked nothing.
    await signIn(signet, guest, { host: at('two.apps'), start: '/outpost.signet/start', answers: {}, visitor })
    assert.deepEqual(await role('two.apps'), [200, 'reader of two', ''])
    assert.deepEqual(await role('one.apps'), [200, 'admin of one', 'close-month'])
    // Another person at the same browser has nothing of it.
    await enter(guest, at('two.apps'), 'anna')
    assert.deepEqual(await role('two.apps'), [200, 'reader of two', ''])
    assert.deepEqual(await role('one.apps'), [401, undefined, undefined])
  })

  test('that are stated later are asked for once, and who is signed in at the AuthServer is asked nothing', async () => {
    const guest = openGuest(signet.port)
    const visitor = newVisitor(signet.issuer)
    await signet.apply(wiki(wikiHeaders.slice(0, 1)))
    await enter(guest, at('wiki'), 'anna', visitor)
    assert.equal(told((await guest.open(at('wiki'), '/')).body).headers['x-level'], undefined)
    await signet.apply(wiki(wikiHeaders))
    await until(async () => (await guest.open(at('wiki'), '/')).status === 302)
    await signIn(signet, guest, { host: at('wiki'), start: '/outpost.signet/start', answers: {}, visitor })
    assert.equal(told((await guest.open(at('wiki'), '/')).body).headers['x-level'], '3')
  })
})

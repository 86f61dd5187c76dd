import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { newVisitor } from '../support/http.ts'
import { type ClientCredentials, claimsOf, token } from '../support/oauth.ts'
import { type ApplyResult, runSignet, type Signet, startSignet } from '../support/signet.ts'

const examples = fileURLToPath(new URL('../../docs/examples', import.meta.url))

const policy = (ttl: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: strict, namespace: team, labels: { tier: strict } }
spec:
  token: { accessTokenTTL: ${ttl}, refreshTokenTTL: 24h, idTokenTTL: 10m }
  allowedGrantTypes: [authorization_code, refresh_token, client_credentials]
  enforcePKCE: true
  allowedScopes: [openid, profile, email]
`
const server = (issuer: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: { name: team, namespace: team }
spec:
  issuerUrl: ${issuer}/team
  policySelector: { matchLabels: { tier: strict } }
`
const client = (name: string, scopes: string, more = '') => `
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: ${name}, namespace: team }
spec:
  displayName: ${name}
  authServerRef: { name: team, namespace: team }
  redirectUris: ['https://${name}.example/callback']
  scopes: [${scopes}]
${more}
`
const ready = ({ status }: ApplyResult) => status?.conditions?.find(({ type }) => type === 'Ready')

describe('manifests', () => {
  let signet: Signet
  let folder: string
  before(async () => {
    signet = await startSignet()
    folder = mkdtempSync(join(tmpdir(), 'signet-manifests-'))
  })
  after(async () => {
    await signet.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** The command line with the token of full rights. */
  const cli = (args: string[], input?: string) =>
    runSignet(args, { settings: { SERVER: signet.issuer, TOKEN: signet.token }, ...(input === undefined ? {} : { input }) })
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  test('a client inside of its policy is Ready, one outside is refused with every offending field, in one apply', async () => {
    const text = [
      client('inside', 'openid, profile'),
      client('outside', 'openid, payments, admin', '  grantTypes: [implicit]\n  responseTypes: [id_token]'),
      server(signet.issuer),
      policy('15m'),
    ].join('---')
    const { status, body } = await signet.api<{ items: ApplyResult[] }>('POST', '/api/v1/apply', text)
    assert.equal(status, 422)
    const results = Array.isArray(body) ? (body as ApplyResult[]) : body.items
    assert.deepEqual(
      results.map(({ name, result }) => [name, result]),
      [
        ['inside', 'created'],
        ['outside', 'refused'],
        ['team', 'created'],
        ['strict', 'created'],
      ],
      'one result a document, in the order of the file',
    )
    const [inside, outside] = results
    assert.deepEqual([inside && ready(inside)?.status, inside && ready(inside)?.reason], ['True', 'ClientProvisioned'])
    const reasons = JSON.stringify(outside?.errors)
    for (const wanted of ['payments', 'admin', 'implicit']) assert.ok(reasons.includes(wanted), reasons)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/outside')).status, 404, 'nothing half-provisioned remains')
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/outside/credentials')).status, 404)
    const authorize = new URLSearchParams({
      client_id: 'team.outside',
      response_type: 'code',
      redirect_uri: 'https://outside.example/callback',
      scope: 'openid',
    })
    const page = await newVisitor(signet.issuer).open(`${signet.issuer}/team/oauth2/authorize?${authorize}`)
    assert.equal(page.status, 400)
    assert.equal(page.left, undefined)
  })

  test('the same once more changes nothing', async () => {
    const { status, body } = await signet.api<{ items: ApplyResult[] }>(
      'POST',
      '/api/v1/apply',
      [client('inside', 'openid, profile'), server(signet.issuer), policy('15m')].join('---'),
    )
    assert.equal(status, 200)
    const results = Array.isArray(body) ? (body as ApplyResult[]) : body.items
    assert.deepEqual(
      results.map(({ result }) => result),
      ['unchanged', 'unchanged', 'unchanged'],
    )
  })

  test('shortening accessTokenTTL in the policy changes the next token of every client under it', async () => {
    await signet.apply(client('second', 'openid'))
    const credentials = await Promise.all(
      ['inside', 'second'].map(
        async (name) => (await signet.api<ClientCredentials>('GET', `/api/v1/namespaces/team/authclients/${name}/credentials`)).body,
      ),
    )
    const lifetimes = () =>
      Promise.all(
        credentials.map(async (one) => {
          const { body } = await token({ ...signet, issuer: `${signet.issuer}/team` }, one, { grant_type: 'client_credentials' })
          const { iat, exp } = claimsOf(body.access_token)
          assert.equal(Number(exp) - Number(iat), body.expires_in)
          return body.expires_in
        }),
      )
    assert.deepEqual(await lifetimes(), [900, 900])
    const applied = await cli(['apply', '-f', file('policy.yaml', policy('2m'))])
    assert.equal(applied.code, 0, applied.stderr)
    assert.match(applied.stdout, /configured/)
    assert.deepEqual(await lifetimes(), [120, 120])
    const shown = await signet.api<{ status: unknown }>('GET', '/api/v1/namespaces/team/authclients/inside')
    assert.match(JSON.stringify(shown.body.status), /2m/, 'the effective policy is shown with durations as written')
  })

  test('a wrong manifest names every bad field with its line', async () => {
    const text = `apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: wrong, namespace: team }
spec:
  displayName: 7
  authServerRef: { name: team }
  redirectUris:
    - not an address
  colour: blue
  scopes: [openid]
`
    const { code, stdout, stderr } = await cli(['apply', '-f', file('wrong.yaml', text)])
    assert.notEqual(code, 0)
    const said = stdout + stderr
    for (const field of ['displayName', 'redirectUris', 'colour']) assert.ok(said.includes(field), said)
    for (const line of [5, 8, 9]) assert.match(said, new RegExp(`(:|line )${line}\\b`), said)
    assert.doesNotMatch(said, /\n\s+at /, 'no stack')
  })

  test('what is not YAML, not a resource or of an unknown kind is refused by name', async () => {
    for (const [text, wanted] of [
      ['a: [1, 2', /"line":1/],
      ['just text', /resource|object|apiVersion|mapping/i],
      ['apiVersion: signet.dev/v1alpha1\nkind: Nothing\nmetadata: { name: x }\nspec: {}', /Nothing/],
      ['apiVersion: other.dev/v9\nkind: AuthClient\nmetadata: { name: x }\nspec: {}', /apiVersion|other\.dev/],
    ] as const) {
      const { status, text: said } = await signet.api('POST', '/api/v1/apply', text)
      assert.ok(status >= 400 && status < 500, `${text}: ${status}`)
      assert.match(said, wanted)
    }
  })

  test('--dry-run says what would happen and does nothing', async () => {
    const { code, stdout } = await cli(['apply', '--dry-run', '-f', file('dry.yaml', client('dry', 'openid'))])
    assert.equal(code, 0)
    assert.match(stdout, /created/)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/dry')).status, 404)
  })

  test('diff shows what would change, get and export show what is, delete takes it away', async () => {
    const changed = file('changed.yaml', client('second', 'openid, email'))
    const diff = await cli(['diff', '-f', changed])
    assert.match(diff.stdout, /^\+.*email/m)
    const got = await cli(['get', 'authclient', 'second', '-n', 'team', '-o', 'yaml'])
    assert.equal(got.code, 0, got.stderr)
    assert.match(got.stdout, /kind: AuthClient/)
    const exported = await cli(['export'])
    assert.equal(exported.code, 0, exported.stderr)
    for (const kind of ['AuthServer', 'AuthClient', 'AuthPolicy', 'UserStore']) assert.match(exported.stdout, new RegExp(`kind: ${kind}`))
    assert.doesNotMatch(exported.stdout, /client_?secret:/i)
    const again = await cli(['apply', '-f', '-'], exported.stdout)
    assert.equal(again.code, 0, again.stderr + again.stdout)
    assert.doesNotMatch(again.stdout, /\b(created|configured)\b/, 'what was exported is what is')
    const deleted = await cli(['delete', 'authclient', 'second', '-n', 'team'])
    assert.equal(deleted.code, 0, deleted.stderr)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/second')).status, 404)
  })

  test('--prune deletes what carries the label and is no longer in the manifests', async () => {
    const labelled = (name: string) => client(name, 'openid').replace('namespace: team }', 'namespace: team, labels: { app: shop } }')
    await signet.apply([labelled('one'), labelled('two')].join('---'))
    const { code, stdout, stderr } = await cli(['apply', '--prune', 'app=shop', '-f', file('prune.yaml', labelled('one'))])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /two.*deleted|deleted.*two/)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/two')).status, 404)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/one')).status, 200)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/team/authclients/inside')).status, 200)
  })

  test('the examples of the documentation apply', async () => {
    assert.ok(existsSync(examples), 'docs/examples')
    for (const name of readdirSync(examples).filter((name) => /\.ya?ml$/.test(name))) {
      const { code, stdout, stderr } = await cli(['apply', '-f', join(examples, name)])
      // An example of a refusal is named so.
      assert.equal(code === 0, !name.includes('refused'), `${name}: ${stdout}${stderr}`)
    }
  })

  test('a lost race is 412, and nothing is overwritten', async () => {
    interface Shown {
      metadata: { resourceVersion: string; [field: string]: unknown }
      spec: Record<string, unknown>
      [field: string]: unknown
    }
    const path = '/api/v1/namespaces/team/authclients/inside'
    const { body, headers } = await signet.api<Shown>('GET', path)
    const version = headers.get('etag') ?? `"${body.metadata.resourceVersion}"`
    const first = await signet.api('PATCH', path, { spec: { displayName: 'First' } }, { headers: { 'if-match': version } })
    assert.equal(first.status, 200, first.text)
    const second = await signet.api('PATCH', path, { spec: { displayName: 'Second' } }, { headers: { 'if-match': version } })
    assert.equal(second.status, 412)
    const put = await signet.api('PUT', path, { ...body, status: undefined, spec: { ...body.spec, displayName: 'Third' } })
    assert.ok([409, 412].includes(put.status), `a stale resourceVersion in the body: ${put.status} ${put.text}`)
    assert.equal((await signet.api<Shown>('GET', path)).body.spec.displayName, 'First')
    const answers = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const { headers } = first
        return (
          await signet.api(
            'PATCH',
            path,
            { spec: { displayName: `Racer ${index}` } },
            { headers: { 'if-match': headers.get('etag') ?? '' } },
          )
        ).status
      }),
    )
    assert.deepEqual(answers.sort(), [200, ...Array(9).fill(412)])
  })

  test('every change is an event with who, what and the difference', async () => {
    interface Event {
      action: string
      actor: unknown
      target: { kind: string; name: string }
      changes: unknown
      requestId: string
      time: string
    }
    const { body } = await signet.api<{ items: Event[]; next: string | null }>('GET', '/api/v1/events?q=strict&limit=20')
    const event = body.items.find(({ changes }) => JSON.stringify(changes ?? '').includes('2m'))
    assert.ok(event, JSON.stringify(body.items).slice(0, 2_000))
    assert.equal(event.target.kind, 'AuthPolicy')
    assert.match(JSON.stringify(event.changes), /15m/)
    assert.ok(event.actor && event.requestId)
    assert.match(event.time, /^\d{4}-\d\d-\d\dT.*Z$/)
  })
})

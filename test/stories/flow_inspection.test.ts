import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newVisitor, walk } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, makeClient } from '../support/oauth.ts'
import { runSignet, type Signet, startSignet } from '../support/signet.ts'

interface Attempt {
  id: string
  flow: string
  state: string
  stage: string | null
  clientId: string | null
  network: string | null
  user: { id: string | null; name: string | null; isKnown: boolean }
  stages: { stage: string; state: string }[]
}

describe('an administrator looks at flows', () => {
  let signet: Signet
  let client: ClientCredentials
  let adaId = ''
  const ada = { username: 'ada', password: 'analytical engine' }
  before(async () => {
    signet = await startSignet()
    client = await makeClient(signet, 'wiki')
    adaId = (await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'ada' })).body.id
    await signet.api('POST', `/api/v1/users/${adaId}/password`, { password: ada.password })
  })
  after(() => signet.stop())

  const command = (args: string[], token = signet.token) => runSignet(args, { settings: { SERVER: signet.issuer, TOKEN: token } })
  const list = async (query: string) => (await signet.api<{ items: Attempt[] }>('GET', `/api/v1/flow-attempts?${query}`)).body.items

  test('and sees a person on the way to a client, step by step, and after', async () => {
    const visitor = newVisitor(signet.issuer)
    const asked = await visitor.open(authorizeUrl(signet, client, { prompt: 'consent' }).url)
    const [begun] = await list('flow=authentication&state=running')
    assert.deepEqual(
      [begun?.stage, begun?.clientId, begun?.network, begun?.user.name],
      ['identification', client.client_id, '127.0.0.1', null],
    )
    const password = await visitor.submit(asked, { username: 'ada' })
    assert.deepEqual((await list('user=ada'))[0]?.user, { id: null, name: 'ada', isKnown: false })
    const consent = await visitor.submit(password, ada)
    const [second, first] = await list('user=ada')
    assert.deepEqual([first?.id, first?.state, first?.user.id], [begun?.id, 'passed', adaId])
    assert.deepEqual([second?.flow, second?.stage, second?.user.id], ['authorization', 'consent', adaId])
    await visitor.submit(consent)
    const { body, text } = await signet.api<Attempt>('GET', `/api/v1/flow-attempts/${second?.id}`)
    assert.deepEqual(
      body.stages.map(({ state }) => state),
      ['answered'],
    )
    for (const cookie of visitor.cookies.values()) assert.ok(!text.includes(cookie))
    assert.ok(!text.includes('interaction'))
  })

  test('with the rights to, by token or at the browser; nobody else does', async () => {
    const visitor = newVisitor(signet.issuer)
    await walk(visitor, await visitor.open('/flow/authentication'), ada)
    const admin = newVisitor(signet.issuer)
    await walk(admin, await admin.open('/flow/authentication'), { username: 'admin', password: signet.password })
    const headers = {
      accept: 'application/json',
      'content-type': 'application/json',
      origin: signet.issuer,
      'sec-fetch-site': 'same-origin',
    }
    for (const [who, status] of [
      [visitor, 403],
      [admin, 200],
      [newVisitor(signet.issuer), 401],
    ] as const) {
      assert.equal((await who.request('/api/v1/me', { headers })).status, status === 401 ? 401 : 200)
      assert.equal((await who.request('/api/v1/flow-attempts', { headers })).status, status)
      const tried = { method: 'POST', headers, body: JSON.stringify({ user: 'admin' }) }
      assert.equal((await who.request('/api/v1/flows/authentication/try', tried)).status, status)
    }
  })

  test('and tries one from the command line', async () => {
    const { code, stdout, stderr } = await command(['flow', 'try', 'authentication', '--as', 'ada', '--client', client.client_id])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /\nada is signed in: acr 1fa, amr pwd\n$/)
    const { body } = await signet.api<{ token: string }>('POST', '/api/v1/tokens', {
      name: 'reader',
      scope: { kinds: ['Flow'], namespaces: ['*'], verbs: ['get'] },
    })
    const refused = await command(['flow', 'try', 'authentication', '--as', 'ada'], body.token)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /list credentials.*\(403\)/)
  })

  test('and lists and reads attempts from there', async () => {
    const listed = await command(['flow', 'attempts', '--user', 'ada', '--state', 'passed', '--flow', 'authorization'])
    assert.equal(listed.code, 0, listed.stderr)
    const [head, line = '', ...rest] = listed.stdout.trimEnd().split('\n')
    assert.match(head ?? '', /^ID +FLOW +STATE +STAGE +USER +CLIENT +NETWORK +BEGUN$/)
    assert.match(line, new RegExp(`^[0-9a-f]{32} +authorization +passed +ada +${client.client_id} +127\\.0\\.0\\.1 +2`))
    assert.deepEqual(rest, [])
    const shown = await command(['flow', 'attempt', line.split(' ')[0] ?? ''])
    assert.equal(shown.code, 0, shown.stderr)
    assert.match(shown.stdout, /\n1 {2}consent +answered\n/)
    assert.match(shown.stdout, /\nconsent\.given +/)
    assert.equal((await command(['flow', 'attempt', '0'.repeat(32)])).code, 1)
    assert.equal((await command(['flow', 'attempts', 'ada'])).code, 2)
    assert.equal((await command(['flow', 'attempt'])).code, 2)
    const json = JSON.parse((await command(['flow', 'attempts', '--flow', 'authorization', '--json'])).stdout) as { items: Attempt[] }
    assert.equal(json.items[0]?.flow, 'authorization')
  })
})

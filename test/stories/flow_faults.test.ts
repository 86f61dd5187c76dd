/** What goes wrong with flows on a running server: what operators write, what the past left, what comes twice, late or from elsewhere. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { runSignet, type Signet, startSignet } from '../support/signet.ts'

const password = 'quiet harbour lantern 7'

const flow = (name: string, stages: string, more = '') => `
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: ${name}, namespace: default }
spec: { designation: authentication, stages: [${stages}]${more} }
`

describe('flows of a running server', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet({ settings: { TRUSTED_PROXIES: '127.0.0.1/32 ::1/128' } })
    for (const username of ['ann', 'ben', 'cleo', 'dora'])
      await signet.api('POST', '/api/v1/users', { username }).then(({ body }) => setPassword((body as { id: string }).id))
  })
  after(() => signet?.stop())

  const setPassword = async (id: string): Promise<void> => {
    assert.ok((await signet.api('POST', `/api/v1/users/${id}/password`, { password })).status < 300)
  }
  const json = async (visitor: Visitor, path: string, body?: object, headers: Record<string, string> = {}) => {
    const answer = await visitor.request(`${signet.issuer}/api/v1/flows/${path}`, {
      ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
      headers: { ...(body ? { 'content-type': 'application/json', origin: signet.issuer } : {}), ...headers },
    })
    const answered = (await answer.json()) as Record<string, unknown> & { attempt: string; stage: string }
    return { status: answer.status, headers: answer.headers, body: answered }
  }
  const begin = async (visitor: Visitor, path = 'authentication') => (await json(visitor, path)).body.attempt
  const enter = async (username: string, path = '/flow/authentication?next=/account'): Promise<{ visitor: Visitor; page: Page }> => {
    const visitor = newVisitor(signet.issuer)
    return { visitor, page: await walk(visitor, await visitor.open(path), { username, password }) }
  }
  const isIn = async (visitor: Visitor) => (await visitor.request('/api/v1/me')).status === 200
  const count = async (action: string, name: string): Promise<number> => {
    const { body } = await signet.api<{ items: { target: { kind: string; name: string } }[] }>(
      'GET',
      `/api/v1/events?action=${action}&limit=500`,
    )
    return body.items.filter(({ target }) => target.name === name).length
  }

  it('a when that fails refuses, on a page and as JSON, and is an event that names the flow', async () => {
    await signet.apply(
      flow('broken-first', '{ stage: identification, when: \'user.attributes.team == "a"\' }, { stage: password }, { stage: user_login }') +
        `---${flow('broken-last', '{ stage: identification }, { stage: password }, { stage: user_login, when: \'facts.amr[7] == "x"\' }')}`,
    )
    const page = await newVisitor(signet.issuer).open('/flow/broken-first')
    assert.equal(page.status, 403)
    assert.match(page.text, /Something is set up wrongly here/)
    const told = await json(newVisitor(signet.issuer), 'broken-first')
    assert.deepEqual([told.status, told.body], [200, { stage: 'deny', reason: 'configuration_error' }])
    assert.equal(await count('configuration.error', 'broken-first'), 2)
    const { visitor, page: end } = await enter('ann', '/flow/broken-last')
    assert.equal(end.status, 403)
    assert.equal(await isIn(visitor), false, 'who proved everything is not in either')
    assert.equal(await count('configuration.error', 'broken-last'), 1)
    const { body } = await signet.api<{ items: { data: Record<string, unknown> }[] }>(
      'GET',
      '/api/v1/events?action=configuration.error&limit=1',
    )
    assert.equal(body.items[0]?.data.field, 'spec.stages[2].when')
  })

  it('a when that is none is not taken', async () => {
    const { status, text } = await signet.api('POST', '/api/v1/apply', flow('nonsense', "{ stage: identification, when: 'user.' }"))
    assert.equal(status, 422)
    assert.match(text, /\/spec\/stages\/0\/when/)
  })

  it('an invitation that has expired, before it is opened or while it is answered, makes nobody', async () => {
    const invite = async () => {
      const { body } = await signet.api<{ id: string; url: string }>('POST', '/api/v1/invitations', { expiresIn: '1h', send: false })
      return body
    }
    const expire = (id: string) =>
      signet.database.db.run(
        sql`update invitations set created_at = now() - interval '1 hour', expires_at = now() - interval '1 second' where invitation_id = ${id}`,
      )
    const late = await invite()
    await expire(late.id)
    const refused = await newVisitor(signet.issuer).open(late.url)
    assert.equal(refused.status, 403)
    assert.match(refused.text, /This invitation does not work/)
    const slow = await invite()
    const visitor = newVisitor(signet.issuer)
    const asked = await visitor.open(slow.url)
    await expire(slow.id)
    const end = await visitor.submit(asked, { username: 'late', email: 'late@example.com', password, passwordRepeat: password })
    assert.equal(end.status, 403)
    assert.match(end.text, /This invitation does not work/)
    assert.equal(await isIn(visitor), false)
    const { body } = await signet.api<{ items: unknown[] }>('GET', '/api/v1/users?q=late')
    assert.deepEqual(body.items, [])
  })

  it('of an invitation that is answered in many browsers at once one person is made', async () => {
    const { body } = await signet.api<{ url: string }>('POST', '/api/v1/invitations', { expiresIn: '1h', send: false })
    const ends = await Promise.all(
      Array.from({ length: 5 }, async (_, index) => {
        const visitor = newVisitor(signet.issuer)
        const asked = await visitor.open(body.url)
        return visitor.submit(asked, { username: `rush-${index}`, email: `rush-${index}@example.com`, password, passwordRepeat: password })
      }),
    )
    assert.deepEqual(ends.map(({ status }) => status).toSorted(), [200, 403, 403, 403, 403])
    const made = await signet.api<{ items: unknown[] }>('GET', '/api/v1/users?q=rush-')
    assert.equal(made.body.items.length, 1)
  })

  it('posts of another browser, stage, flow or attempt that is over are 409 and change nothing', async () => {
    const own = newVisitor(signet.issuer)
    const attempt = await begin(own)
    await json(own, 'authentication', { attempt, stage: 'identification', username: 'ann' })
    const other = newVisitor(signet.issuer)
    await begin(other)
    const right = { attempt, stage: 'password', password }
    for (const [visitor, path, body] of [
      [other, 'authentication', right],
      [newVisitor(signet.issuer), 'authentication', right],
      [own, 'recovery', right],
      [own, 'authentication', { ...right, stage: 'identification', username: 'ben' }],
      [own, 'authentication', { ...right, stage: 'user_login' }],
      [own, 'authentication', { ...right, stage: 'authenticator_validate', code: '1' }],
      [own, 'authentication', { ...right, attempt: `${attempt.slice(0, -1)}${attempt.endsWith('A') ? 'B' : 'A'}` }],
    ] as const)
      assert.equal((await json(visitor, path, body)).status, 409, JSON.stringify([path, body.stage]))
    assert.equal(await isIn(other), false)
    assert.deepEqual((await json(own, 'authentication', right)).body, { stage: 'done', next: '/' })
    assert.equal((await json(own, 'authentication', right)).status, 409)
  })

  it('two stages posted at once: the one that the attempt stands at is judged, and the other is 409', async () => {
    for (let round = 0; round < 5; round++) {
      const visitor = newVisitor(signet.issuer)
      const attempt = await begin(visitor)
      const answers = await Promise.all([
        json(visitor, 'authentication', { attempt, stage: 'password', password }),
        json(visitor, 'authentication', { attempt, stage: 'identification', username: 'ann' }),
        json(visitor, 'authentication', { attempt, stage: 'user_login' }),
      ])
      // The password may come to an attempt that has just moved there: then it is the right one.
      assert.equal(answers[1]?.status, 200)
      assert.ok([200, 409].includes(answers[0]?.status ?? 0), String(answers[0]?.status))
      assert.equal(answers[2]?.status, 409)
      assert.equal(await isIn(visitor), answers[0]?.body.stage === 'done')
    }
  })

  it('an attempt ends with its time, and begins anew where the page leads', async () => {
    await signet.apply(flow('brief', '{ stage: identification }, { stage: password }, { stage: user_login }', ', attemptTTL: 1s'))
    const visitor = newVisitor(signet.issuer)
    const asked = await visitor.open('/flow/brief')
    await signet.database.db.run(sql`update flow_attempts set expires_at = now() - interval '1 second' where flow_name = 'brief'`)
    const late = await visitor.submit(asked, { username: 'ann' })
    assert.equal(late.status, 409)
    assert.match(late.text, /This page is out of date/)
    assert.match(late.html, /href="\/flow\/brief(\?[^"]*)?"/)
  })

  it('lock-outs of a name, an account and a network outlast a restart', async () => {
    const from = (network: string) => ({ 'x-forwarded-for': network })
    const guess = async (username: string, network: string, times: number) => {
      const visitor = newVisitor(signet.issuer)
      const attempt = await begin(visitor)
      await json(visitor, 'authentication', { attempt, stage: 'identification', username })
      let last = 0
      for (let time = 0; time < times; time++)
        last = (await json(visitor, 'authentication', { attempt, stage: 'password', password: 'wrong' }, from(network))).status
      return { last, visitor, attempt }
    }
    const known = await guess('ben', '198.51.100.1', 10)
    const unknown = await guess('nobody', '198.51.100.2', 10)
    for (let name = 0; name < 5; name++) await guess(`name-${name}`, '198.51.100.3', 10)
    assert.deepEqual([known.last, unknown.last], [400, 400])
    await signet.restart({ signal: 'SIGKILL' })
    for (const [{ visitor, attempt }, network] of [
      [known, '198.51.100.9'],
      [unknown, '198.51.100.9'],
      [await guess('ann', '198.51.100.8', 0), '198.51.100.3'],
    ] as const) {
      const answer = await json(visitor, 'authentication', { attempt, stage: 'password', password }, from(network))
      assert.equal(answer.status, 429)
      assert.ok(Number(answer.headers.get('retry-after')) > 0)
      assert.equal(await isIn(visitor), false)
    }
    assert.ok(await isIn((await enter('ann')).visitor), 'nobody else is locked out')
  })

  it('wrong codes lock an account out over a restart, and the right code does not help', async () => {
    const { visitor } = await enter('cleo')
    const offered = await visitor.open('/flow/authenticator_static')
    const codes = [...offered.html.matchAll(/<code>([^<]+)<\/code>/g)].map((match) => match[1] ?? '')
    await visitor.submit(offered)
    const other = newVisitor(signet.issuer)
    const attempt = await begin(other)
    const post = (stage: string, fields: object) => json(other, 'authentication', { attempt, stage, ...fields })
    await post('identification', { username: 'cleo' })
    assert.equal((await post('password', { password })).body.stage, 'authenticator_validate')
    for (let guess = 0; guess < 10; guess++) assert.equal((await post('authenticator_validate', { code: `wrong-${guess}` })).status, 400)
    await signet.restart({ signal: 'SIGKILL' })
    const answer = await post('authenticator_validate', { code: codes[0] ?? '' })
    assert.equal(answer.status, 429)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
    assert.equal(await isIn(other), false)
  })
})

describe('the flows that ship', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
  })
  after(() => signet?.stop())

  const specOf = async (name: string) => {
    const { status, body } = await signet.api<{ spec: { title?: string; stages: { stage: string }[] } }>(
      'GET',
      `/api/v1/namespaces/default/flows/${name}`,
    )
    return { status, spec: body?.spec }
  }
  const firstField = async (name: string) => (await newVisitor(signet.issuer).open(`/flow/${name}`)).forms[0]?.fields.stage
  /** As an upgrade does it: migrations first, then the server starts. */
  const upgrade = async () => {
    await signet.kill('SIGTERM')
    const settings = Object.fromEntries(Object.entries(signet.env).map(([name, value]) => [name.replace('SIGNET_', ''), value]))
    const migrated = await runSignet(['migrate'], { settings })
    assert.equal(migrated.code, 0, migrated.stderr)
    await signet.restart()
  }

  it('are resources after the first start', async () => {
    for (const name of [
      'authentication',
      'authorization',
      'invalidation',
      'enrollment',
      'recovery',
      'unenrollment',
      'authenticator-totp',
      'authenticator-static',
      'authenticator-webauthn',
      'authenticator-email',
    ])
      assert.equal((await specOf(name)).status, 200, name)
  })

  it('stay as an operator has changed them, through restarts and migrations', async () => {
    await signet.apply(
      flow(
        'authentication',
        '{ stage: terms, text: Be kind. }, { stage: identification }, { stage: password }, { stage: user_login }',
        ', title: Ours',
      ),
    )
    assert.equal(await firstField('authentication'), 'terms')
    for (const again of [() => signet.restart({ signal: 'SIGKILL' }), upgrade]) {
      await again()
      const { spec } = await specOf('authentication')
      assert.deepEqual(
        [spec?.title, spec?.stages.map(({ stage }) => stage)],
        ['Ours', ['terms', 'identification', 'password', 'user_login']],
      )
      assert.equal(await firstField('authentication'), 'terms')
    }
  })

  it('are stood in for when they are deleted, do not come back by themselves, and take their place again by apply', async () => {
    assert.equal((await signet.api('DELETE', '/api/v1/namespaces/default/flows/authentication')).status, 204)
    assert.equal(await firstField('authentication'), 'identification')
    await upgrade()
    assert.equal((await specOf('authentication')).status, 404)
    assert.equal(await firstField('authentication'), 'identification')
    const visitor = newVisitor(signet.issuer)
    await walk(visitor, await visitor.open('/flow/authentication'), { username: 'admin', password: signet.password })
    assert.equal((await visitor.request('/api/v1/me')).status, 200, 'nobody is locked out by it')
    await signet.apply(
      flow('authentication', '{ stage: terms, text: Again. }, { stage: identification }, { stage: password }, { stage: user_login }'),
    )
    assert.equal(await firstField('authentication'), 'terms')
  })
})

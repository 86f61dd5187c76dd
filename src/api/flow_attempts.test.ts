/** What administrators see of attempts, and what nobody sees. One file though it is long: its tests share a server, its people and one of their factors. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { siteOf } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { findUser } from '#/identity/users.ts'
import { sha256 } from '#/lib/crypto.ts'
import { sql } from '#/lib/sql.ts'
import { storeMailedLink } from '#/model/mailed_links.ts'
import { type Api, issuerUrl, openApi } from '../../test/support/api.ts'
import { totpCode } from '../../test/support/totp.ts'

interface Attempt {
  id: string
  flow: string
  state: string
  reason: string | null
  stage: string | null
  user: { id: string | null; name: string | null; isKnown: boolean }
  clientId: string | null
  network: string | null
  amr: string[]
  acr: string | null
  createdAt: string
  expiresAt: string
}
interface Inspected extends Attempt {
  canGoOn: boolean
  stages: { stage: string; state: string; reason: string | null }[]
  facts: Record<string, unknown>
  context: Record<string, unknown>
  events: { action: string; data: Record<string, unknown> }[] | null
}
interface Listed {
  items: Attempt[]
  next: string | null
}

const password = 'quiet harbour lantern'
let api: Api
let otpauthUrl = ''
const people: Record<string, string> = {}
before(async () => {
  api = await openApi({ env: { SIGNET_SMTP_URL: 'smtp://127.0.0.1:1', SIGNET_MAIL_FROM: 'signet@example.org' } })
  for (const username of ['ann', 'ben', 'cara']) {
    const user = { username, email: `${username}@example.org`, emailVerified: true }
    people[username] = (await api.call<{ id: string }>('POST', '/api/v1/users', user)).body.id
    assert.equal((await api.call('POST', `/api/v1/users/${people[username]}/password`, { password })).status, 204)
  }
  const user = await findUser(api.db, people.ann ?? '')
  assert.ok(user)
  const deps = { db: api.db, rootSecret: api.rootSecret, site: siteOf({ issuerUrl }) }
  const now = new Date()
  const { kept, ...offer } = await factors.totp.offer(deps, user, now)
  otpauthUrl = offer.otpauthUrl ?? ''
  await factors.totp.confirm(deps, user, { kept, code: totpCode(otpauthUrl, now) }, { actor: 'test' }, now)
})
after(() => api.close())

const begin = async (name = 'authentication', query = '') => {
  const path = `/api/v1/flows/${name}`
  const begun = await api.call<{ attempt: string; passkey?: { challenge: string } }>('GET', path + query, undefined, { token: null })
  assert.equal(begun.status, 200, begun.text)
  const cookie = begun.headers['set-cookie']?.split(';')[0] ?? ''
  const { attempt } = begun.body
  return {
    attempt,
    begun,
    browser: cookie.split('=')[1] ?? '',
    id: sha256(attempt).subarray(0, 16).toString('hex'),
    post: (stage: string, fields: object) =>
      api.call<Record<string, unknown>>(
        'POST',
        path,
        { attempt, stage, ...fields },
        { token: null, headers: { cookie, 'user-agent': 'Robot' } },
      ),
  }
}
const read = async (id: string) => {
  const answer = await api.call<Inspected>('GET', `/api/v1/flow-attempts/${id}`)
  assert.equal(answer.status, 200, answer.text)
  return answer
}
const told = ({ stages }: Inspected) => stages.map(({ stage, state }) => `${stage} ${state}`)
const list = async (query = '') => {
  const answer = await api.call<Listed>('GET', `/api/v1/flow-attempts?${query}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

describe('GET /api/v1/flow-attempts/{id}', () => {
  it('shows where an attempt stands, and what it would do now', async () => {
    const ann = await begin()
    assert.deepEqual(told((await read(ann.id)).body), [
      'identification current',
      'password to_come',
      'authenticator_validate to_come',
      'password_change to_be_left_out',
      'user_login to_come',
    ])
    await ann.post('identification', { username: 'ann@example.org' })
    const typed = (await read(ann.id)).body
    assert.deepEqual([typed.state, typed.stage, typed.user], ['running', 'password', { id: null, name: 'ann@example.org', isKnown: false }])
    assert.equal((await ann.post('password', { password: 'wrong' })).status, 400)
    await ann.post('password', { password })
    const proven = (await read(ann.id)).body
    assert.deepEqual(told(proven), [
      'identification answered',
      'password answered',
      'authenticator_validate current',
      'password_change to_come',
      'user_login to_come',
    ])
    assert.deepEqual(proven.user, { id: people.ann, name: 'ann', isKnown: true })
    assert.deepEqual([proven.network, proven.amr, proven.acr, proven.canGoOn], ['192.0.2.7', ['pwd'], '1fa', true])
    assert.ok(Date.parse(proven.expiresAt) - Date.parse(proven.createdAt) === 30 * 60_000)
    assert.equal((await ann.post('authenticator_validate', { code: totpCode(otpauthUrl, new Date(Date.now() + 30_000)) })).status, 200)
    const done = (await read(ann.id)).body
    assert.deepEqual(told(done), [
      'identification answered',
      'password answered',
      'authenticator_validate answered',
      'password_change passed',
      'user_login passed',
    ])
    assert.deepEqual([done.state, done.stage, done.acr, done.amr], ['passed', null, '2fa', ['pwd', 'otp', 'mfa']])
    assert.deepEqual(
      done.events?.map(({ action }) => action),
      ['sign_in.failed', 'sign_in.succeeded'],
    )
  })

  it('tells what was left out and what asked nothing', async () => {
    const spec = {
      designation: 'authentication',
      stages: [
        { stage: 'captcha', when: 'reputation > 90' },
        { stage: 'identification' },
        { stage: 'deny', when: "network == '198.51.100.1'" },
        { stage: 'password' },
        { stage: 'authenticator_validate' },
        { stage: 'terms', text: 'Be kind.', when: "'admins' in user.groups" },
        { stage: 'deny', when: "facts.username == 'ben'", reason: 'not_today' },
        { stage: 'user_login' },
      ],
    }
    await api.call('POST', '/api/v1/namespaces/default/flows', { metadata: { name: 'several' }, spec })
    await api.snapshot.refresh()
    const ben = await begin('several')
    await ben.post('identification', { username: 'ben' })
    assert.deepEqual(told((await read(ben.id)).body), [
      'captcha left_out',
      'identification answered',
      'deny left_out',
      'password current',
      'authenticator_validate to_come',
      'terms to_be_left_out',
      'deny to_come',
      'user_login to_come',
    ])
    await ben.post('password', { password })
    const { body } = await read(ben.id)
    assert.deepEqual(told(body), [
      'captcha left_out',
      'identification answered',
      'deny left_out',
      'password answered',
      'authenticator_validate passed',
      'terms left_out',
      'deny ended_here',
      'user_login not_reached',
    ])
    assert.deepEqual([body.state, body.reason, body.stage], ['denied', 'not_today', null])
    assert.deepEqual(
      body.events?.map(({ action, data }) => [action, data.reason]),
      [['sign_in.declined', 'not_today']],
    )
  })

  it('begins anew when the person does', async () => {
    const ben = await begin()
    await ben.post('identification', { username: 'ann' })
    await ben.post('password', { restart: true })
    const { body } = await read(ben.id)
    assert.deepEqual(told(body).slice(0, 2), ['identification current', 'password to_come'])
    assert.equal(body.user.name, null)
  })

  it('names a condition that fails, before anyone comes to it and after', async () => {
    const stages = [{ stage: 'identification' }, { stage: 'deny', when: "user.attributes.badge == 'x'" }]
    await api.call('POST', '/api/v1/namespaces/default/flows', {
      metadata: { name: 'fails' },
      spec: { designation: 'authentication', stages },
    })
    await api.snapshot.refresh()
    const ann = await begin('fails')
    const before = (await read(ann.id)).body
    assert.deepEqual(told(before), ['identification current', 'deny broken'])
    assert.match(before.stages[1]?.reason ?? '', /badge/)
    await ann.post('identification', { username: 'ann' })
    const after = (await read(ann.id)).body
    assert.deepEqual([told(after)[1], after.reason], ['deny ended_here', 'configuration_error'])
    assert.deepEqual(after.events?.map(({ action }) => action).sort(), ['configuration.error', 'sign_in.declined'])
  })

  it('says when the flow has changed under it', async () => {
    const path = '/api/v1/namespaces/default/flows'
    const stages = [{ stage: 'identification' }, { stage: 'user_login' }]
    await api.call('POST', path, { metadata: { name: 'changes' }, spec: { designation: 'authentication', stages } })
    await api.snapshot.refresh()
    const ann = await begin('changes')
    assert.equal((await read(ann.id)).body.canGoOn, true)
    await api.call('PATCH', `${path}/changes`, { spec: { stages: [...stages, { stage: 'deny' }] } })
    await api.snapshot.refresh()
    const { body } = await read(ann.id)
    assert.deepEqual([body.canGoOn, body.stages], [false, []])
    await api.call('DELETE', `${path}/changes`)
    await api.snapshot.refresh()
    assert.deepEqual([(await read(ann.id)).body.canGoOn, (await read(ann.id)).body.stage], [false, null])
  })

  it('says when the password it knows is not theirs any more', async () => {
    const ann = await begin()
    await ann.post('identification', { username: 'ann' })
    await ann.post('password', { password })
    assert.equal((await read(ann.id)).body.canGoOn, true)
    assert.equal((await api.call('POST', `/api/v1/users/${people.ann}/password`, { password: 'violet compass meadow' })).status, 204)
    const { body } = await read(ann.id)
    assert.deepEqual([body.canGoOn, told(body)[2]], [false, 'authenticator_validate current'])
    assert.equal((await api.call('POST', `/api/v1/users/${people.ann}/password`, { password })).status, 204)
  })

  it('shows nothing with which an attempt, an invitation, a link or a session could be used', async () => {
    const ann = await begin('authentication', '?next=/account/secret-place')
    const shown = [ann.begun.body.passkey?.challenge ?? 'no challenge']
    await ann.post('identification', { username: 'ann' })
    await ann.post('password', { password })
    const { body: invitation } = await api.call<{ url: string }>('POST', '/api/v1/invitations', { email: 'zoe@example.org', groups: [] })
    const invited = new URL(invitation.url).searchParams.get('invitation') ?? ''
    const zoe = await begin('enrollment', `?invitation=${invited}`)
    await zoe.post('prompt', { username: 'zoe', name: 'Zoe', password: 'violet compass meadow', passwordRepeat: 'other' })
    const link = 'r'.repeat(43)
    const mailed = {
      token_hash: sha256(link),
      user_id: people.cara ?? '',
      issuer: issuerUrl,
      flow_name: 'recovery',
      email: 'cara@example.org',
    }
    await storeMailedLink(api.db, { ...mailed, expires_at: new Date(Date.now() + 60_000) })
    const recovery = await begin('recovery', `?token=${link}`)
    assert.deepEqual(told((await read(recovery.id)).body).slice(0, 2), ['identification passed', 'email current'])
    const hashes = await api.db.any<{ all: string }>(sql`
      select concat_ws(' ', encode(attempt_hash, 'hex'), encode(browser_hash, 'hex'), translate(encode(sealed_state, 'base64'), E'\\n', ''), encode(signature, 'base64')) as all
        from flow_attempts`)
    const secrets = [
      ...shown,
      ...[ann, zoe, recovery].flatMap(({ attempt, browser }) => [attempt, browser]),
      invited,
      link,
      'secret-place',
      otpauthUrl,
      password,
      'violet compass meadow',
      ...hashes.flatMap(({ all }) => all.split(' ')),
    ]
    const { text: listed } = await api.call('GET', '/api/v1/flow-attempts?limit=500')
    const { text: events } = await api.call('GET', '/api/v1/events?limit=500')
    const texts = [listed, events]
    for (const { id } of [ann, zoe, recovery]) {
      texts.push((await read(id)).text)
      assert.ok(listed.includes(id))
    }
    for (const secret of secrets) {
      assert.ok(secret.length > 10, secret)
      for (const text of texts) assert.ok(!text.includes(secret), `${secret} in ${text}`)
    }
    // The id continues nothing, in that very browser neither.
    const cookie = `signet_flow=${ann.browser}`
    for (const attempt of [ann.id, Buffer.from(ann.id, 'hex').toString('base64url')]) {
      const { status } = await api.call('GET', `/api/v1/flows/authentication?attempt=${attempt}`, undefined, {
        token: null,
        headers: { cookie },
      })
      assert.equal(status, 409)
    }
  })

  it('shows what an enrolment knows, without what was entered', async () => {
    const { body: invitation } = await api.call<{ url: string }>('POST', '/api/v1/invitations', { email: 'yan@example.org' })
    const spec = {
      designation: 'enrollment',
      stages: [{ stage: 'invitation' }, { stage: 'prompt', fields: [{ name: 'username' }] }, { stage: 'terms' }, { stage: 'user_write' }],
    }
    await api.call('POST', '/api/v1/namespaces/default/flows', { metadata: { name: 'enrollment' }, spec })
    await api.snapshot.refresh()
    const yan = await begin('enrollment', new URL(invitation.url).search)
    await yan.post('prompt', { username: 'yan' })
    const { body } = await read(yan.id)
    assert.deepEqual(told(body), ['invitation passed', 'prompt answered', 'terms current', 'user_write to_come'])
    assert.deepEqual([body.facts.prompted, body.facts.invitedEmail], [['username'], 'yan@example.org'])
  })

  it('leaves the events to those who may list events', async () => {
    const { id } = await begin()
    const token = await api.token({ kinds: ['flow-attempts'], namespaces: ['*'], verbs: ['get'] })
    const { status, body } = await api.call<Inspected>('GET', `/api/v1/flow-attempts/${id}`, undefined, { token })
    assert.deepEqual([status, body.events], [200, null])
  })

  it('knows no attempt that has expired, and none of another name', async () => {
    const { id } = await begin()
    await api.db.run(
      sql`update flow_attempts set expires_at = now() - interval '1 second' where substr(attempt_hash, 1, 16) = ${Buffer.from(id, 'hex')}`,
    )
    for (const wrong of [id, '0'.repeat(32), 'x', id.toUpperCase(), `${id}00`, '%00'])
      assert.equal((await api.call('GET', `/api/v1/flow-attempts/${wrong}`)).status, 404, wrong)
    assert.ok(!(await list('limit=500')).items.some((item) => item.id === id))
  })
})

describe('GET /api/v1/flow-attempts', () => {
  it('lists the newest first, page by page, each once', async () => {
    for (let made = 0; made < 5; made += 1) await begin()
    const all = (await list('limit=500')).items.map(({ id }) => id)
    assert.equal(new Set(all).size, all.length)
    const paged: string[] = []
    let cursor = ''
    do {
      const page = await list(`limit=3${cursor}`)
      assert.ok(page.items.length <= 3)
      paged.push(...page.items.map(({ id }) => id))
      cursor = page.next === null ? '' : `&cursor=${page.next}`
    } while (cursor !== '')
    assert.deepEqual(paged, all)
    const times = (await list('limit=500')).items.map(({ createdAt }) => Date.parse(createdAt))
    assert.deepEqual(
      times,
      [...times].sort((a, b) => b - a),
    )
  })

  it('takes state, flow and user, and who typed a name counts as whom they named', async () => {
    const ids = async (query: string) => (await list(`limit=500&${query}`)).items.map(({ id }) => id)
    const typed = await begin()
    await typed.post('identification', { username: 'Cara' })
    const signedIn = await begin()
    await signedIn.post('identification', { username: 'cara@example.org' })
    await signedIn.post('password', { password })
    const declined = await begin()
    await declined.post('identification', { decline: true })
    for (const user of ['cara', 'CARA']) assert.deepEqual(await ids(`user=${user}`), [signedIn.id, typed.id])
    assert.deepEqual(await ids(`user=${people.cara}`), [signedIn.id])
    assert.deepEqual(await ids('user=cara&state=passed'), [signedIn.id])
    assert.ok((await ids('state=denied')).includes(declined.id))
    assert.ok((await list('limit=500&flow=several')).items.every(({ flow }) => flow === 'several'))
    assert.deepEqual(await ids('user=nobody'), [])
  })

  it('looks at so many in one answer and no more: a page may be short', async () => {
    await api.db.run(sql`
      insert into flow_attempts (attempt_hash, browser_hash, issuer, flow_name, next, context, facts, signature, created_at, expires_at)
      select sha256(n::text::bytea), sha256('b'), ${issuerUrl}, 'authentication', '/', '{}', '{}', sha256('s'), now() + interval '1 minute', now() + interval '30 minutes'
        from generate_series(1, 6000) as n`)
    const first = await list('user=cara')
    assert.deepEqual(first.items, [])
    assert.ok(first.next)
    const found: string[] = []
    let cursor: string | null = first.next
    for (let pages = 0; cursor !== null && pages < 20; pages += 1) {
      const page: Listed = await list(`user=cara&limit=1&cursor=${cursor}`)
      found.push(...page.items.map(({ user }) => user.name ?? ''))
      cursor = page.next
    }
    assert.deepEqual(found, ['cara', 'Cara'])
    await api.db.run(sql`delete from flow_attempts where browser_hash = sha256('b')`)
  })

  it('refuses what it does not know', async () => {
    for (const query of ['state=lost', 'limit=0', 'limit=501', 'colour=red', 'cursor=none', 'user=', 'flow='])
      assert.equal((await api.call('GET', `/api/v1/flow-attempts?${query}`)).status, 422, query)
  })
})

describe('the right to see attempts', () => {
  it('is one of its own, for all namespaces', async () => {
    const { id } = await begin()
    for (const path of ['/api/v1/flow-attempts', `/api/v1/flow-attempts/${id}`]) {
      assert.equal((await api.call('GET', path, undefined, { token: null })).status, 401)
      const verbs = ['get', 'list']
      for (const [kinds, namespaces, status] of [
        [['flows', 'users', 'events', 'sessions'], ['*'], 403],
        [['flow-attempts'], ['default'], 403],
        [['flow-attempts'], ['*'], 200],
      ] as [string[], string[], number][])
        assert.equal((await api.call('GET', path, undefined, { token: await api.token({ kinds, namespaces, verbs }) })).status, status)
    }
    const listing = await api.token({ kinds: ['flow-attempts'], namespaces: ['*'], verbs: ['list'] })
    assert.equal((await api.call('GET', `/api/v1/flow-attempts/${id}`, undefined, { token: listing })).status, 403)
  })

  it('can be given by a Role', async () => {
    const spec = { rules: [{ kinds: ['flow-attempts'], verbs: ['list'] }], subjects: { users: ['ben'] } }
    assert.equal((await api.call('POST', '/api/v1/namespaces/default/roles', { metadata: { name: 'desk' }, spec })).status, 201)
    await api.snapshot.refresh()
    const token = await api.token(undefined, people.ben)
    assert.equal((await api.call('GET', '/api/v1/flow-attempts', undefined, { token })).status, 200)
  })
})

/** What a flow would ask of a person, without anyone going through it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { addFailure, passwordCounters } from '#/flow/failures.ts'
import { addFactor } from '#/identity/authenticators.ts'
import { siteOf } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { findUser } from '#/identity/users.ts'
import { stageNames } from '#/kinds/flow_stages.ts'
import { sql } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { type Api, issuerUrl, openApi } from '../../test/support/api.ts'
import { totpCode } from '../../test/support/totp.ts'

interface Trial {
  stages: {
    stage: string
    turn: string
    when: string | null
    outcome: string | null
    asks: string[]
    factors: string[]
    reason: string | null
  }[]
  end: {
    kind: string
    acr: string | null
    amr: string[]
    reason: string | null
    retryAfter: number | null
    field: string | null
    wanted: string[]
    requiredFactors: string[] | null
    isEnough: boolean
    letsIn: boolean | null
  }
}

let api: Api
const people: Record<string, string> = {}
before(async () => {
  api = await openApi({ env: { SIGNET_SMTP_URL: 'smtp://127.0.0.1:1', SIGNET_MAIL_FROM: 'signet@example.org' } })
  for (const user of [
    { username: 'ann', email: 'ann@example.org', emailVerified: true },
    { username: 'ben', email: 'ben@example.org' },
    { username: 'gone', active: false },
    { username: 'new' },
  ]) {
    const { status, body, text } = await api.call<{ id: string }>('POST', '/api/v1/users', user)
    assert.equal(status, 201, text)
    people[user.username] = body.id
  }
  for (const name of ['ann', 'ben', 'gone'])
    assert.equal((await api.call('POST', `/api/v1/users/${people[name]}/password`, { password: 'quiet harbour lantern' })).status, 204)
  await api.call('POST', '/api/v1/groups', { name: 'admins', members: ['ann'] })
  const user = await findUser(api.db, people.ann ?? '')
  assert.ok(user)
  const deps = { db: api.db, rootSecret: api.rootSecret, site: siteOf({ issuerUrl }) }
  const now = new Date()
  const { kept, otpauthUrl = '' } = await factors.totp.offer(deps, user, now)
  await factors.totp.confirm(deps, user, { kept, code: totpCode(otpauthUrl, now) }, { actor: 'test' }, now)
})
after(() => api.close())

const flow = async (name: string, stages: object[], designation = 'authentication') => {
  const { status, text } = await api.call('POST', '/api/v1/namespaces/default/flows', { metadata: { name }, spec: { designation, stages } })
  assert.equal(status, 201, text)
  await api.snapshot.refresh()
}
const attempt = (name: string, body: object, options = {}) => api.call<Trial>('POST', `/api/v1/flows/${name}/try`, body, options)
const answered = async (name: string, body: object): Promise<Trial> => {
  const answer = await attempt(name, body)
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}
const told = ({ stages }: Trial) => stages.map(({ stage, turn, outcome }) => `${stage} ${turn}${outcome ? ` ${outcome}` : ''}`)

describe('POST /api/v1/flows/{name}/try', () => {
  it('walks the flow for a person with a second factor', async () => {
    const trial = await answered('authentication', { user: 'ann' })
    assert.deepEqual(told(trial), [
      'identification comes asked',
      'password comes asked',
      'authenticator_validate comes asked',
      'password_change comes passed',
      'user_login comes passed',
    ])
    const [first, second, third] = trial.stages
    assert.deepEqual(first?.asks, ['username', 'passkey'])
    assert.deepEqual([second?.asks, second?.when], [['password'], "!('swk' in facts.amr || 'hwk' in facts.amr)"])
    assert.deepEqual([third?.asks, third?.factors], [['code'], ['totp']])
    assert.deepEqual(trial.end, {
      kind: 'signed_in',
      acr: '2fa',
      amr: ['pwd', 'otp', 'mfa'],
      reason: null,
      retryAfter: null,
      field: null,
      wanted: [],
      requiredFactors: null,
      isEnough: true,
      letsIn: null,
    })
  })

  it('walks it for one without, who falls short of what is wanted', async () => {
    const trial = await answered('authentication', { user: 'ben@example.org', acr_values: ['2fa'] })
    assert.equal(told(trial)[2], 'authenticator_validate comes passed')
    assert.deepEqual([trial.end.kind, trial.end.acr, trial.end.wanted, trial.end.isEnough], ['signed_in', '1fa', ['2fa'], false])
  })

  it('begins with what is proven already', async () => {
    const trial = await answered('authentication', { user: 'ann', amr: ['swk', 'user'] })
    assert.deepEqual(told(trial), [
      'identification comes passed',
      'password left_out',
      'authenticator_validate comes passed',
      'password_change left_out',
      'user_login comes passed',
    ])
    assert.equal(trial.end.acr, 'phr')
  })

  it('says what a person has no answer to', async () => {
    for (const [user, reason] of [
      ['new', 'no_password'],
      ['gone', 'inactive'],
    ] as const) {
      const trial = await answered('authentication', { user })
      assert.equal(told(trial)[1], 'password comes stuck', user)
      assert.deepEqual([trial.end.kind, trial.end.reason], ['stuck', reason])
      assert.deepEqual(
        trial.stages.slice(2).map(({ turn }) => turn),
        ['not_reached', 'not_reached', 'not_reached'],
      )
    }
    assert.equal((await answered('recovery', { user: 'ben' })).end.reason, 'no_confirmed_address')
    assert.equal((await answered('authenticator_email', { user: 'ben' })).end.kind, 'passed', 'its code confirms the address')
    assert.deepEqual((await answered('recovery', { user: 'ann' })).stages[1]?.asks, ['link'])
  })

  it('sees the network, the client and the person as conditions do', async () => {
    await flow('conditions', [
      { stage: 'deny', reason: 'not from there', when: "network.startsWith('198.51.')" },
      { stage: 'deny', when: "client.?clientId.orValue('') == 'default.wiki'", reason: 'not for the wiki' },
      { stage: 'deny', when: "request.userAgent == 'robot'" },
      { stage: 'identification' },
      { stage: 'password' },
      { stage: 'authenticator_validate', whenNone: 'deny', when: "'admins' in user.groups" },
      { stage: 'user_login' },
    ])
    const path = '/api/v1/namespaces/default'
    await api.call('POST', `${path}/userstores`, { metadata: { name: 'default' }, spec: { type: 'postgres' } })
    await api.call('POST', `${path}/authservers`, { metadata: { name: 'default' }, spec: { issuerUrl } })
    const spec = { authServerRef: { name: 'default' }, redirectUris: ['https://wiki.example/cb'], scopes: ['openid'] }
    assert.equal((await api.call('POST', `${path}/authclients`, { metadata: { name: 'wiki' }, spec })).status, 201)
    await api.snapshot.refresh()
    const ends = async (body: object) => (await answered('conditions', { user: 'ben', ...body })).end
    assert.deepEqual(told(await answered('conditions', { user: 'ben' }))[5], 'authenticator_validate left_out')
    assert.deepEqual(told(await answered('conditions', { user: 'ann' }))[5], 'authenticator_validate comes asked')
    assert.deepEqual(
      [(await ends({ network: '198.51.100.1' })).kind, (await ends({ network: '198.51.100.1' })).reason],
      ['denied', 'not from there'],
    )
    assert.equal((await ends({ client: 'default.wiki' })).reason, 'not for the wiki')
    assert.equal((await ends({ userAgent: 'robot' })).reason, 'access_denied')
    assert.equal((await ends({ network: '2001:db8::1' })).kind, 'signed_in')
  })

  it('counts what the policy of the client demands', async () => {
    const path = '/api/v1/namespaces/default'
    const policy = {
      metadata: { name: 'strong', labels: { strong: 'yes' } },
      spec: { authentication: { acr: '2fa', requiredFactors: ['webauthn'] } },
    }
    assert.equal((await api.call('POST', `${path}/authpolicies`, policy)).status, 201)
    const changed = { spec: { issuerUrl, policySelector: { matchLabels: { strong: 'yes' } } } }
    const { status, text } = await api.call('PATCH', `${path}/authservers/default`, changed)
    assert.equal(status, 200, text)
    await api.snapshot.refresh()
    const ann = await answered('authentication', { user: 'ann', client: 'default.wiki' })
    assert.deepEqual([ann.end.kind, ann.end.reason], ['denied', 'factor_missing'])
    const ben = await answered('authentication', { user: 'ben', client: 'default.wiki' })
    const { kind, wanted, requiredFactors, isEnough } = ben.end
    assert.deepEqual([kind, wanted, requiredFactors, isEnough], ['signed_in', ['2fa', 'phr'], ['webauthn'], false])
    assert.equal((await api.call('PATCH', `${path}/authservers/default`, { spec: { policySelector: null } })).status, 200)
    await api.snapshot.refresh()
  })

  it('says whether the application lets them in', async () => {
    const spec = {
      displayName: 'Wiki',
      launchUrl: 'https://wiki.example/',
      authServerRef: { name: 'default' },
      authClientRef: { name: 'wiki' },
      access: { groups: ['admins'] },
    }
    const { status, text } = await api.call('POST', '/api/v1/namespaces/default/applications', { metadata: { name: 'wiki' }, spec })
    assert.equal(status, 201, text)
    await api.snapshot.refresh()
    for (const [user, letsIn] of [
      ['ann', true],
      ['ben', false],
    ] as const) {
      const { end } = await answered('authentication', { user, client: 'default.wiki' })
      assert.deepEqual([end.kind, end.letsIn], ['signed_in', letsIn])
      assert.equal((await answered('authentication', { user })).end.letsIn, null)
    }
  })

  it('names the condition that fails, and why', async () => {
    await flow('broken', [
      { stage: 'identification' },
      { stage: 'password', when: "user.attributes.badge == 'x'" },
      { stage: 'user_login' },
    ])
    const trial = await answered('broken', { user: 'ann' })
    assert.deepEqual(told(trial), ['identification comes asked', 'password broken', 'user_login not_reached'])
    assert.deepEqual([trial.end.kind, trial.end.field], ['broken', 'spec.stages[1].when'])
    assert.match(trial.stages[1]?.reason ?? '', /badge/)
    assert.equal(trial.end.reason, trial.stages[1]?.reason)
  })

  it('takes the factor that is named, and the first that can be used otherwise', async () => {
    const { body } = await api.call<{ id: string }>('POST', '/api/v1/users', { username: 'kim' })
    await api.call('POST', `/api/v1/users/${body.id}/password`, { password: 'quiet harbour lantern' })
    const credential = {
      rp_id: 'localhost',
      credential_id: Buffer.from('a passkey'),
      public_key: Buffer.from('its key'),
      counter: 0,
      transports: [] as string[],
      aaguid: '00000000-0000-0000-0000-000000000000',
      device_type: 'multiDevice',
      backed_up: true,
      attestation_format: 'none',
    } as const
    const now = new Date()
    await addFactor(api.db, { authenticator_id: uuidv7(now), user_id: body.id, type: 'webauthn', credential }, { actor: 'test' }, now)
    const beside = await answered('authentication', { user: 'kim' })
    assert.deepEqual([beside.stages[2]?.asks, beside.stages[2]?.factors], [['passkey'], ['webauthn']])
    assert.deepEqual([beside.end.acr, beside.end.amr], ['2fa', ['pwd', 'swk', 'mfa']])
    const alone = await answered('authentication', { user: 'kim', factor: 'webauthn' })
    assert.equal(told(alone)[1], 'password left_out')
    assert.deepEqual([alone.end.acr, alone.end.amr], ['phr', ['swk', 'user', 'mfa']])
    const elsewhere = await answered('authentication', { user: 'ann', factor: 'webauthn' })
    assert.equal(elsewhere.end.acr, '2fa')
  })

  it('says that a person has not the factor that is taken', async () => {
    const stages = [
      { stage: 'identification' },
      { stage: 'password' },
      { stage: 'authenticator_validate', types: ['email'] },
      { stage: 'user_login' },
    ]
    await flow('by-mail', stages)
    const { end } = await answered('by-mail', { user: 'ann' })
    assert.deepEqual([end.kind, end.reason], ['denied', 'factor_missing'])
  })

  it('says who is locked out, and for how long', async () => {
    const counters = passwordCounters({ username: 'ben', network: '203.0.113.9' })
    for (let failure = 0; failure < 10; failure += 1) await addFailure(api.db, counters, new Date())
    const { end } = await answered('authentication', { user: 'ben' })
    assert.deepEqual([end.kind, end.reason], ['stuck', 'locked_out'])
    assert.ok(end.retryAfter !== null && end.retryAfter > 800 && end.retryAfter <= 900, String(end.retryAfter))
  })

  it('walks every flow that ships', async () => {
    for (const [name, kind] of [
      ['authorization', 'passed'],
      ['invalidation', 'passed'],
      ['enrollment', 'signed_in'],
      ['recovery', 'signed_in'],
      ['unenrollment', 'passed'],
      ['authenticator_totp', 'passed'],
      ['authenticator_static', 'passed'],
      ['authenticator_webauthn', 'passed'],
      ['authenticator_email', 'passed'],
    ] as const) {
      const trial = await answered(name, { user: 'ann' })
      assert.equal(trial.end.kind, kind, name)
      assert.ok(
        trial.stages.every(({ turn }) => turn !== 'not_reached'),
        name,
      )
    }
  })

  it('walks every stage there is, and writes nothing, mails nobody and counts nothing', async () => {
    const field = { name: 'email', type: 'email' }
    await flow(
      'everything',
      [
        { stage: 'captcha' },
        { stage: 'invitation' },
        { stage: 'identification' },
        { stage: 'prompt', fields: [field] },
        { stage: 'email', template: 'email_confirmation' },
        { stage: 'password' },
        { stage: 'terms', text: 'Be kind.' },
        { stage: 'user_write' },
        { stage: 'email', template: 'recovery' },
        { stage: 'authenticator_email' },
        { stage: 'authenticator_totp' },
        { stage: 'authenticator_static' },
        { stage: 'authenticator_webauthn' },
        { stage: 'authenticator_validate' },
        { stage: 'password_change', only: 'always' },
        { stage: 'redirect', to: '/account' },
        { stage: 'user_login' },
        { stage: 'consent' },
        { stage: 'user_logout' },
        { stage: 'user_delete' },
        { stage: 'source', name: 'none' },
      ],
      'enrollment',
    )
    const tables = (
      await api.db.any<{ name: string }>(sql`
        select schemaname || '.' || relname as name from pg_stat_user_tables where schemaname not in ('pg_catalog') order by 1`)
    ).map(({ name }) => name)
    // Reading with a token notes when it was last used.
    const state = async () => {
      const lines: string[] = []
      for (const name of tables.filter((table) => table !== 'public.api_tokens')) {
        const rows = await api.db.any<{ row: string }>({ name: '', text: `select t::text as row from ${name} t order by 1`, values: [] })
        lines.push(...rows.map(({ row }) => `${name} ${row}`))
      }
      return lines
    }
    const before = await state()
    const trial = await answered('everything', { user: 'ann' })
    assert.deepEqual(await state(), before)
    const missing = stageNames.filter((name) => !trial.stages.some(({ stage, turn }) => stage === name && turn === 'comes'))
    assert.deepEqual(missing, ['deny'], 'which is tried above')
    assert.equal(told(trial).at(-1), 'source comes denied')
    assert.deepEqual([trial.end.kind, trial.end.reason], ['denied', 'configuration_error'])
  })

  it('shows no secret of the person', async () => {
    const { text } = await attempt('authenticator_totp', { user: 'ann' })
    assert.ok(!/otpauth|challenge|secret/.test(text), text)
  })

  const scope = (kinds: string[], verbs = ['get', 'list']) => ({ kinds, namespaces: ['*'], verbs })
  it('asks for the rights to read all that it tells of', async () => {
    assert.equal((await attempt('authentication', { user: 'ann' }, { token: null })).status, 401)
    for (const kinds of [['flows'], ['flows', 'users'], ['flows', 'credentials'], ['users', 'credentials']])
      for (const name of ['authentication', 'none'])
        for (const user of ['ann', 'nobody']) {
          const { status, text } = await attempt(name, { user }, { token: await api.token(scope(kinds)) })
          assert.equal(status, kinds.includes('flows') && name === 'none' ? 404 : 403, `${kinds} ${name} ${user} ${text}`)
        }
    const token = await api.token(scope(['flows', 'users', 'credentials']))
    assert.equal((await attempt('authentication', { user: 'ann' }, { token })).status, 200)
    assert.equal((await attempt('authentication', { user: 'ann', client: 'default.wiki' }, { token })).status, 403)
  })

  it('names what is not there, and every bad field', async () => {
    assert.equal((await attempt('none', { user: 'ann' })).status, 404)
    for (const [body, pointer] of [
      [{ user: 'nobody' }, '/user'],
      [{ user: 'ann', client: 'none' }, '/client'],
      [{ user: 'ann', authServer: 'default/none' }, '/authServer'],
      [{ user: 'ann', network: 'here' }, '/network'],
      [{ user: 'ann', amr: ['telepathy'] }, '/amr/0'],
      [{ user: 'ann', factor: 'sms' }, '/factor'],
      [{ user: 'ann', colour: 'red' }, '/colour'],
      [{}, '/user'],
    ] as const) {
      const {
        status,
        body: problem,
        text,
      } = await api.call<{ errors: { pointer: string }[] }>('POST', '/api/v1/flows/authentication/try', body)
      assert.equal(status, 422, text)
      assert.deepEqual(
        problem.errors.map((error) => error.pointer),
        [pointer],
      )
    }
  })
})

/** What people are told by mail of their own accounts: in the transaction of the change, and at confirmed addresses only. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'
import { type MailServer, type ReceivedMail, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'
const changed = 'another quiet harbour 9'
const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const safari =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1'

describe('a notice by mail', () => {
  let signet: Signet
  let mail: MailServer

  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({
      settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>', TRUSTED_PROXIES: '127.0.0.0/8 ::1/128' },
    })
  })
  after(async () => {
    await signet.stop()
    await mail.stop()
  })

  const addressOf = (username: string) => `${username}@example.com`
  const makeUser = async (username: string, more: object = {}): Promise<string> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username,
      name: `${username} of the harbour`,
      email: addressOf(username),
      emailVerified: true,
      ...more,
    })
    assert.equal(made.status, 201, made.text)
    await setPassword(made.body.id, password)
    return made.body.id
  }
  const setPassword = async (id: string, to: string) =>
    assert.equal((await signet.api('POST', `/api/v1/users/${id}/password`, { password: to })).status, 204)
  const enter = async (visitor: Visitor, username: string): Promise<Page> =>
    walk(visitor, await visitor.open(`${signet.issuer}/flow/authentication?next=/account`), { username, password })
  /** All that were sent to an address, once nothing waits any more. */
  const mailsTo = async (address: string): Promise<ReceivedMail[]> => {
    await until(
      async () => {
        const { count } = await signet.database.db.one<{ count: number }>(
          sql`select count(*)::integer as count from graphile_worker.jobs where task_identifier in ('send_email', 'send_recovery')`,
        )
        return count === 0
      },
      { explain: () => 'mails wait still' },
    )
    return mail.received.filter(({ to }) => to.toLowerCase() === address)
  }
  const subjectsTo = async (address: string) => (await mailsTo(address)).map(({ subject }) => subject)

  const ofPassword = 'Your password at Signet was changed'
  const ofFactor = 'How you sign in to Signet was changed'
  const ofAddress = 'Your e-mail address at Signet was changed'
  const ofDevice = 'New sign-in to your account at Signet'

  it('tells of a password that someone else has set, and not who or from where; of the first one nothing', async () => {
    const id = await makeUser('ada')
    assert.deepEqual(await subjectsTo(addressOf('ada')), [])
    await setPassword(id, changed)
    const [told] = await mailsTo(addressOf('ada'))
    assert.equal(told?.subject, ofPassword)
    assert.match(told.text, /Hello ada of the harbour,/)
    assert.ok(told.text.includes(`${signet.issuer}/account`), told.text)
    assert.doesNotMatch(told.text, /127\.0\.0\.1|Network|Device/)
    const { body } = await signet.api<{ items: { id: string }[] }>('GET', `/api/v1/users/${id}/sessions`)
    assert.deepEqual(body.items, [])
  })

  it('tells of a password that the person has changed, and from where', async () => {
    await makeUser('bea')
    const visitor = newVisitor(signet.issuer)
    await enter(visitor, 'bea')
    const page = await visitor.open('/account/password')
    const form = page.forms.find(({ names }) => names.includes('currentPassword')) ?? assert.fail(page.text)
    const answer = await visitor.request(form.action, {
      method: 'POST',
      body: new URLSearchParams({ ...form.fields, currentPassword: password, password: changed, passwordRepeat: changed }),
      headers: { origin: signet.issuer, 'user-agent': firefox, 'x-forwarded-for': '198.51.100.9' },
    })
    assert.equal(answer.status, 303)
    const [told] = await mailsTo(addressOf('bea'))
    assert.equal(told?.subject, ofPassword)
    assert.match(told.text, /Device: Firefox, Linux\nNetwork: 198\.51\.100\.9/)
  })

  it('tells of a recovery', async () => {
    await makeUser('cid', { locale: 'de' })
    const visitor = newVisitor(signet.issuer)
    await visitor.submit(await visitor.open(`${signet.issuer}/flow/recovery`), { username: 'cid' })
    const link = /https?:\/\/\S+\/flow\/recovery\?token=[\w-]+/.exec((await mail.next(addressOf('cid'))).text)?.[0] ?? assert.fail()
    const asked = await visitor.submit(await visitor.open(link))
    await visitor.submit(asked, { password: changed, passwordRepeat: changed })
    assert.match((await subjectsTo(addressOf('cid')))[1] ?? '', /^Ihr Passwort/)
  })

  it('tells of factors that were added and removed, by whomever', async () => {
    const id = await makeUser('dan')
    const visitor = newVisitor(signet.issuer)
    await enter(visitor, 'dan')
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    await visitor.submit(offered, { code: totpCode(app) })
    await visitor.submit(await visitor.open(`${signet.issuer}/flow/authenticator_static`))
    const page = await visitor.open('/account/factors')
    await visitor.submit(
      page,
      {},
      page.forms.findIndex((form) => 'factor' in form.fields),
    )
    const { body } = await signet.api<{ items: { id: string; type: string }[] }>('GET', `/api/v1/users/${id}/credentials`)
    const left = body.items.find(({ type }) => type !== 'password') ?? assert.fail()
    assert.equal((await signet.api('DELETE', `/api/v1/users/${id}/credentials/${left.id}`)).status, 204)
    const told = await mailsTo(addressOf('dan'))
    assert.deepEqual(
      told.map(({ subject }) => subject),
      [ofFactor, ofFactor, ofFactor, ofFactor],
    )
    const texts = told.map(({ text }) => text).toSorted()
    assert.match(texts.join('\n'), /Added to your account at Signet: authenticator app/)
    assert.match(texts.join('\n'), /Added to your account at Signet: recovery codes/)
    assert.equal(texts.filter((text) => text.includes('Removed from your account')).length, 2)
    assert.ok(texts.every((text) => text.includes(`${signet.issuer}/account/factors`)))
  })

  it('tells the address that was of another one, whether REST or a manifest says so, if it was confirmed', async () => {
    const id = await makeUser('eve')
    await signet.api('PATCH', `/api/v1/users/${id}`, { email: 'eve@new.example' })
    assert.deepEqual(await subjectsTo(addressOf('eve')), [ofAddress])
    await signet.api('PATCH', `/api/v1/users/${id}`, { email: 'eve@newer.example' })
    await signet.api('PATCH', `/api/v1/users/${id}`, { email: 'EVE@newer.example', emailVerified: true })
    await signet.api('PATCH', `/api/v1/users/${id}`, { email: 'eve@NEWER.example', emailVerified: true })
    assert.deepEqual([await subjectsTo('eve@new.example'), await subjectsTo('eve@newer.example')], [[], []])
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: User
metadata: { name: eve, namespace: default }
spec: { username: eve, email: eve@newest.example }
`)
    assert.deepEqual(await subjectsTo('eve@newer.example'), [ofAddress])
    assert.deepEqual(await subjectsTo('eve@newest.example'), [])
  })

  /** By JSON, as a browser of that name in that network. */
  const signIn = async (username: string, userAgent: string, network: string, with_ = password) => {
    const visitor = newVisitor(signet.issuer)
    const call = async (method: 'GET' | 'POST', body?: object) => {
      const answer = await visitor.request(`${signet.issuer}/api/v1/flows/authentication`, {
        method,
        headers: {
          'user-agent': userAgent,
          'x-forwarded-for': network,
          ...(body ? { 'content-type': 'application/json', origin: signet.issuer } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      return (await answer.json()) as { attempt: string; stage: string }
    }
    const { attempt } = await call('GET')
    await call('POST', { attempt, stage: 'identification', username })
    return (await call('POST', { attempt, stage: 'password', password: with_ })).stage
  }

  it('tells of a sign-in from a device that was not seen before, but not of the first one', async () => {
    const id = await makeUser('fay')
    for (const [userAgent, network] of [
      [firefox, '198.51.100.1'],
      [firefox, '198.51.100.1'],
      [firefox.replaceAll('140', '141'), '198.51.100.1'],
    ] as const)
      assert.equal(await signIn('fay', userAgent, network), 'done')
    assert.deepEqual(await subjectsTo(addressOf('fay')), [])
    assert.equal(await signIn('fay', safari, '198.51.100.1', 'not it'), 'password')
    assert.deepEqual(await subjectsTo(addressOf('fay')), [], 'nobody signed in')
    await signet.api('DELETE', `/api/v1/users/${id}/sessions`)
    assert.equal(await signIn('fay', safari, '203.0.113.5'), 'done')
    const [told] = await mailsTo(addressOf('fay'))
    assert.equal(told?.subject, ofDevice)
    assert.match(told.text, /Device: Safari, iPhone\nNetwork: 203\.0\.113\.5/)
    assert.ok(told.text.includes(`${signet.issuer}/account/sessions`), told.text)
    await signIn('fay', safari, '203.0.113.5')
    await signIn('fay', firefox, '198.51.100.1')
    assert.equal((await mailsTo(addressOf('fay'))).length, 1)
    await signIn('fay', firefox, '198.51.100.2')
    assert.equal((await mailsTo(addressOf('fay'))).length, 2)
  })

  it('remembers so many devices of a person and no more', async () => {
    const id = await makeUser('gus')
    for (let i = 0; i < 33; i++) assert.equal(await signIn('gus', firefox, `2001:db8:${i}::1`), 'done')
    const { count } = await signet.database.db.one<{ count: number }>(
      sql`select count(*)::integer as count from known_devices where user_id = ${id}`,
    )
    assert.equal(count, 30)
  })

  it('goes to no address that was not confirmed', async () => {
    const id = await makeUser('hal', { emailVerified: false })
    await signIn('hal', firefox, '198.51.100.1')
    await signIn('hal', safari, '203.0.113.5')
    await setPassword(id, changed)
    await signet.api('PATCH', `/api/v1/users/${id}`, { email: 'hal@new.example', emailVerified: true })
    assert.deepEqual(await subjectsTo(addressOf('hal')), [])
    assert.deepEqual(await subjectsTo('hal@new.example'), [])
  })

  it('is not made, nor any device noted, where no mail can be sent', async () => {
    const silent = await startSignet()
    try {
      const made = await silent.api<{ id: string }>('POST', '/api/v1/users', {
        username: 'ida',
        email: 'ida@example.com',
        emailVerified: true,
      })
      for (const each of [password, changed])
        assert.equal((await silent.api('POST', `/api/v1/users/${made.body.id}/password`, { password: each })).status, 204)
      const visitor = newVisitor(silent.issuer)
      const page = await walk(visitor, await visitor.open(`${silent.issuer}/flow/authentication?next=/account`), {
        username: 'ida',
        password: changed,
      })
      assert.equal(new URL(page.url).pathname, '/account')
      const { mails, devices } = await silent.database.db.one<{ mails: number; devices: number }>(sql`
        select (select count(*)::integer from graphile_worker.jobs where task_identifier = 'send_email') as mails,
               (select count(*)::integer from known_devices) as devices`)
      assert.deepEqual([mails, devices], [0, 0])
    } finally {
      await silent.stop()
    }
  })
})

/** What people meet on their own way: links that follow the operator's choice of flows, names that are taken, and mistakes that can be mended. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'
const stageOf = (page: Page) => page.forms[0]?.fields.stage

const makeUser = async (signet: Signet, username: string, more: object = {}): Promise<string> => {
  const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
    username,
    email: `${username}@example.com`,
    emailVerified: true,
    ...more,
  })
  assert.equal(made.status, 201, made.text)
  await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
  return made.body.id
}
const enter = async (signet: Signet, username: string, path = '/account'): Promise<{ visitor: Visitor; page: Page }> => {
  const visitor = newVisitor(signet.issuer)
  return { visitor, page: await walk(visitor, await visitor.open(path), { username, password }) }
}

describe('self-service', () => {
  let signet: Signet
  let mail: MailServer
  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: join, namespace: default }
spec:
  designation: enrollment
  stages:
    - stage: prompt
      fields:
        - { name: username }
        - { name: email, type: email }
        - { name: password, type: password }
    - { stage: email, template: email_confirmation }
    - { stage: terms, text: Be kind. }
    - { stage: user_write }
    - { stage: user_login }
---
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: join-quickly, namespace: default }
spec:
  designation: enrollment
  stages:
    - stage: prompt
      fields: [{ name: username }, { name: email, type: email, required: false }]
    - { stage: user_write }
    - { stage: user_login }
`)
  })
  after(async () => {
    await signet.stop()
    await mail.stop()
  })

  const codeTo = async (address: string) =>
    /^ {4}(\d{6})$/m.exec((await mail.next(address, /^ {4}\d{6}$/m)).text)?.[1] ?? assert.fail(address)

  test('pages link the flows that the AuthServer names', async () => {
    await makeUser(signet, 'lena')
    const found = await signet.api<{ spec: Record<string, unknown> }>('GET', '/api/v1/namespaces/default/authservers/default')
    const flows = { recovery: 'way-back', unenrollment: 'leave', invalidation: 'bye' }
    const write = (spec: object) =>
      signet.api(
        'PATCH',
        '/api/v1/namespaces/default/authservers/default',
        { spec },
        { headers: { 'content-type': 'application/merge-patch+json' } },
      )
    assert.equal(found.status, 200, found.text)
    const written = await write({ flows })
    assert.equal(written.status, 200, written.text)
    try {
      const { page } = await enter(signet, 'lena')
      assert.match(page.html, /href="\/flow\/leave"/)
      assert.match(page.html, /href="\/flow\/bye\?next=\/signed_out"/)
      assert.match((await newVisitor(signet.issuer).open('/flow/authentication')).html, /href="\/flow\/way-back"/)
    } finally {
      await write({ flows: null })
    }
  })

  test('a name that was taken meanwhile is asked for again, with what was typed and proven', async () => {
    const visitor = newVisitor(signet.issuer)
    const begun = await visitor.open('/flow/join')
    const proving = await visitor.submit(begun, { username: 'kai', email: 'kai@new.example', password })
    const terms = await visitor.submit(proving, { code: await codeTo('kai@new.example') })
    assert.equal(stageOf(terms), 'terms', terms.text)
    await makeUser(signet, 'KAI')
    const again = await visitor.submit(terms, { accept: 'true' })
    assert.equal(again.status, 400, again.text)
    assert.equal(stageOf(again), 'prompt')
    assert.match(again.text, /Someone has this name already/)
    assert.equal(again.forms[0]?.fields.email, 'kai@new.example')
    assert.match(again.html, /id="username"[^>]*aria-invalid="true"/)
    const done = await walk(visitor, await visitor.submit(again, { username: 'kai-2', password }), {})
    assert.equal(done.status, 200, done.text)
    const me = (await (await visitor.request('/api/v1/me')).json()) as { username: string; emailVerified: boolean }
    assert.deepEqual([me.username, me.emailVerified], ['kai-2', true], 'a proven mailbox is proven still')
    const sent = mail.received.filter(({ to }) => to === 'kai@new.example')
    assert.equal(sent.length, 1)
  })

  test('an address that someone has is told of to its owner, and otherwise merely cannot be used', async () => {
    await makeUser(signet, 'nele')
    const owner = newVisitor(signet.issuer)
    const proving = await owner.submit(await owner.open('/flow/join'), { username: 'nele-2', email: 'nele@example.com', password })
    const free = newVisitor(signet.issuer)
    const other = await free.submit(await free.open('/flow/join'), { username: 'nele-3', email: 'free@example.com', password })
    assert.equal(proving.text.replaceAll('nele@', 'free@'), other.text)
    const terms = await owner.submit(proving, { code: await codeTo('nele@example.com') })
    const again = await owner.submit(terms, { accept: 'true' })
    assert.deepEqual([again.status, stageOf(again)], [400, 'prompt'])
    assert.match(again.text, /belongs to another account/)
    const guess = newVisitor(signet.issuer)
    const quick = await guess.submit(await guess.open('/flow/join-quickly'), { username: 'nele-4', email: 'NELE@example.com' })
    assert.deepEqual([quick.status, stageOf(quick)], [400, 'prompt'])
    assert.match(quick.text, /cannot be used here/)
    assert.doesNotMatch(quick.text, /another account|already/)
    const without = await guess.submit(quick, { username: 'nele-4', email: '' })
    assert.equal(without.status, 200, without.text)
  })

  test('what cannot be had uses no invitation up', async () => {
    await makeUser(signet, 'runa')
    const invited = await signet.api<{ url: string }>('POST', '/api/v1/invitations', {
      email: 'new@example.org',
      expiresIn: '1h',
      send: false,
    })
    assert.equal(invited.status, 201, invited.text)
    const visitor = newVisitor(signet.issuer)
    const begun = await visitor.open(invited.body.url)
    const answers = { username: 'runa-2', name: 'Runa', password, passwordRepeat: password }
    const again = await visitor.submit(begun, { ...answers, email: 'runa@example.com' })
    assert.deepEqual([again.status, stageOf(again)], [400, 'prompt'], again.text)
    assert.match(again.text, /cannot be used here/)
    const done = await visitor.submit(again, { ...answers, email: 'new@example.org' })
    assert.equal(done.status, 200, done.text)
    assert.equal((await visitor.request('/api/v1/me')).status, 200)
    assert.match((await newVisitor(signet.issuer).open(invited.body.url)).text, /This invitation does not work/)
  })

  test('of many who choose one name at once one has it, and the others are asked again', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const visitor = newVisitor(signet.issuer)
        const page = await visitor.submit(await visitor.open('/flow/join-quickly'), { username: 'wanted', email: '' })
        return [page.status, page.status === 200 ? undefined : stageOf(page)] as const
      }),
    )
    assert.equal(outcomes.filter(([status]) => status === 200).length, 1, JSON.stringify(outcomes))
    assert.equal(outcomes.filter(([status, stage]) => status === 400 && stage === 'prompt').length, 7, JSON.stringify(outcomes))
  })

  test('a name of a factor that is too long is a mistake in its field, and uses no code up', async () => {
    await makeUser(signet, 'uma')
    const { visitor } = await enter(signet, 'uma')
    const offered = await visitor.open('/flow/authenticator_totp')
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    const code = totpCode(app, new Date())
    for (const name of ['n'.repeat(101), 'a\u202eb']) {
      const refused = await visitor.submit(offered, { code, name })
      assert.equal(refused.status, 400, refused.text)
      assert.match(refused.html, /id="name"[^>]*aria-invalid="true"/)
      assert.match(refused.html, /href="#name"/)
    }
    const done = await visitor.submit(offered, { code, name: '😀'.repeat(100) })
    assert.equal(new URL(done.url).pathname, '/account/factors', done.text)
  })

  test('whoever recovers their account may start over at the second factor', async () => {
    await makeUser(signet, 'vera')
    const { visitor: owner } = await enter(signet, 'vera')
    const offered = await owner.open('/flow/authenticator_totp')
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    await owner.submit(offered, { code: totpCode(app, new Date()) })
    const lost = newVisitor(signet.issuer)
    await lost.submit(await lost.open('/flow/recovery'), { username: 'vera' })
    const link =
      /https?:\/\/\S+\/flow\/recovery\?token=[\w-]+/.exec((await mail.next('vera@example.com', /token=/)).text)?.[0] ?? assert.fail()
    const asked = await lost.submit(await lost.open(link))
    assert.equal(stageOf(asked), 'authenticator_validate')
    const over = asked.forms.findIndex(({ fields }) => 'restart' in fields)
    assert.ok(over >= 0)
    const restarted = await lost.submit(asked, {}, over)
    assert.deepEqual([restarted.status, stageOf(restarted)], [200, 'identification'], restarted.text)
    assert.match((await newVisitor(signet.issuer).open(link)).text, /This link does not work any more/, 'the link is used all the same')
  })

  test('an attempt whose end somebody else wrote into its row is refused', async () => {
    const visitor = newVisitor(signet.issuer)
    const page = await visitor.open('/flow/authentication?next=/account')
    await signet.database.db.run(sql`update flow_attempts set next = '/account/password' where next = '/account'`)
    assert.equal((await visitor.submit(page, { username: 'lena' })).status, 409)
  })
})

test('without a mail server nobody is told that a code was sent', async () => {
  const signet = await startSignet()
  try {
    const id = await makeUser(signet, 'otto')
    const add = (type: string) =>
      signet.database.db.run(sql`
        insert into authenticators (authenticator_id, user_id, type, created_at) values (gen_random_uuid(), ${id}, ${type}, now())`)
    await add('email')
    const { visitor, page } = await enter(signet, 'otto')
    assert.equal(stageOf(page), 'authenticator_validate')
    assert.doesNotMatch(page.text, /on its way/)
    assert.match(page.text, /no mail can be sent/)
    const again = await visitor.submit(page)
    assert.match(again.text, /no mail can be sent/)
    assert.doesNotMatch(again.text, /on its way/)
    await add('static')
    const both = (await enter(signet, 'otto')).page
    assert.ok(both.forms[0]?.names.includes('code'), both.text)
    assert.doesNotMatch(both.text, /by mail/)
    const lost = newVisitor(signet.issuer)
    const told = await lost.submit(await lost.open('/flow/recovery'), { username: 'otto' })
    assert.equal(told.status, 503, told.text)
    assert.match(told.text, /No mail can be sent/)
    assert.doesNotMatch(told.text, /a lot to do/)
  } finally {
    await signet.stop()
  }
})

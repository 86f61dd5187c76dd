/** A person changes their e-mail address at the portal: both mailboxes agree, and only then is it changed. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, type ReceivedMail, startMailServer } from '../support/smtp.ts'

const password = 'quiet harbour lantern 7'

const formWith = (page: Page, field: string) => page.forms.findIndex((form) => field in form.fields || form.names.includes(field))
const codeIn = ({ text }: ReceivedMail) => /^ {4}(\d{6})$/m.exec(text)?.[1] ?? assert.fail(text)
const wrong = (...codes: string[]) => ['000000', '000001', '000002'].find((code) => !codes.includes(code)) ?? ''

describe('the e-mail address in the portal', () => {
  let signet: Signet
  let mail: MailServer
  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
  })
  after(async () => {
    await signet.stop()
    await mail.stop()
  })

  const makeUser = async (username: string, more: object = { emailVerified: true }): Promise<string> => {
    const email = `${username}@old.example`
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, name: 'Someone', email, ...more })
    assert.equal(made.status, 201, made.text)
    await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    return made.body.id
  }
  const enter = async (username: string, path = '/account/email'): Promise<{ visitor: Visitor; page: Page }> => {
    const visitor = newVisitor(signet.issuer)
    return { visitor, page: await walk(visitor, await visitor.open(path), { username, password }) }
  }
  const fill = async (visitor: Visitor, field: 'email' | 'code' | 'withdraw', value = 'true') => {
    const page = await visitor.open('/account/email')
    const number = formWith(page, field)
    assert.ok(number >= 0, `${field} is asked: ${page.text}`)
    return visitor.submit(page, { [field]: value }, number)
  }
  const userOf = async (id: string) =>
    (await signet.api<{ email: string | null; emailVerified: boolean }>('GET', `/api/v1/users/${id}`)).body
  const eventsOf = async (username: string) =>
    (
      await signet.api<{ items: { action: string; actor: string; changes: Record<string, unknown> | null }[] }>(
        'GET',
        `/api/v1/events?q=${username}&limit=100`,
      )
    ).body.items

  test('is changed when both mailboxes have agreed, in either order, and nothing else ends', async () => {
    const id = await makeUser('ann')
    const { visitor, page } = await enter('ann')
    const elsewhere = await enter('ann')
    assert.match(page.text, /ann@old\.example/)
    const asked = await fill(visitor, 'email', 'ann@new.example')
    assert.equal(asked.status, 200, asked.text)
    assert.match(asked.text, /ann@new\.example/)
    const [toNew, toOld] = await Promise.all([mail.next('ann@new.example'), mail.next('ann@old.example')])
    assert.ok(toOld.text.includes('ann@new.example'), 'who agrees is told what to')
    assert.ok(
      !toNew.text.includes('ann@old.example') && !toNew.text.includes('Someone'),
      'an unproven mailbox learns nothing of the person',
    )
    assert.notEqual(codeIn(toNew), codeIn(toOld))
    for (const link of `${toNew.text} ${toOld.text}`.match(/https?:\/\/\S+/g) ?? []) await visitor.open(link)
    assert.equal((await userOf(id)).email, 'ann@old.example', 'opening a link changes nothing')
    const first = await fill(visitor, 'code', codeIn(toOld))
    assert.equal(first.status, 200, first.text)
    assert.equal((await userOf(id)).email, 'ann@old.example', 'one mailbox is not enough')
    const again = await fill(visitor, 'code', codeIn(toOld))
    assert.equal(again.status, 400, 'a code is good once')
    const done = await fill(visitor, 'code', ` ${codeIn(toNew).slice(0, 3)} ${codeIn(toNew).slice(3)} `)
    assert.equal(done.status, 200, done.text)
    assert.deepEqual(await userOf(id), { ...(await userOf(id)), email: 'ann@new.example', emailVerified: true })
    assert.match((await mail.next('ann@old.example')).subject, /was changed/)
    assert.equal((await elsewhere.visitor.request('/api/v1/me')).status, 200, 'sessions go on')
    const changed = (await eventsOf('ann')).find(
      ({ action, changes }) => action === 'user.updated' && changes !== null && '/email' in changes,
    )
    assert.equal(changed?.actor, 'ann')
    assert.deepEqual(changed?.changes?.['/email'], { before: 'ann@old.example', after: 'ann@new.example' })
    assert.equal((await enter('ann@new.example', '/account')).page.status, 200, 'it signs in by the new one')
  })

  test('answers alike for an address that someone has, and refuses it once its mailbox is proven', async () => {
    const [id] = await Promise.all([makeUser('ben'), makeUser('eve')])
    const { visitor } = await enter('ben')
    const free = await fill(visitor, 'email', 'new@nobody.example')
    const taken = await fill(visitor, 'email', 'eve@old.example')
    assert.deepEqual([taken.status, taken.url], [free.status, free.url])
    assert.equal(taken.text.replaceAll('eve@old.example', 'new@nobody.example'), free.text)
    const [toNew] = [await mail.next('eve@old.example'), await mail.next('ben@old.example')]
    const toOld = await mail.next('ben@old.example')
    await fill(visitor, 'code', codeIn(toOld))
    const refused = await fill(visitor, 'code', codeIn(toNew))
    assert.equal(refused.status, 409, refused.text)
    assert.match(refused.text, /belongs to another account/)
    assert.equal((await userOf(id)).email, 'ben@old.example')
  })

  test('a newer change takes the place of the one before, and one can be withdrawn', async () => {
    const id = await makeUser('carl')
    const { visitor } = await enter('carl')
    await fill(visitor, 'email', 'carl@first.example')
    const [first, agreed] = [await mail.next('carl@first.example'), await mail.next('carl@old.example')]
    await fill(visitor, 'code', codeIn(agreed))
    await fill(visitor, 'email', 'carl@second.example')
    const [second, anew] = [await mail.next('carl@second.example'), await mail.next('carl@old.example')]
    if (codeIn(first) !== codeIn(second) && codeIn(first) !== codeIn(anew))
      assert.equal((await fill(visitor, 'code', codeIn(first))).status, 400)
    const half = await fill(visitor, 'code', codeIn(second))
    assert.equal(half.status, 200)
    assert.equal((await userOf(id)).email, 'carl@old.example', 'what the old mailbox agreed to was the other address')
    const withdrawn = await fill(visitor, 'withdraw')
    assert.ok(formWith(withdrawn, 'code') < 0, 'nothing waits')
    assert.equal((await userOf(id)).email, 'carl@old.example')
  })

  test('has five tries, and is another person’s in no session', async () => {
    const [id] = await Promise.all([makeUser('dora'), makeUser('mallory')])
    const [{ visitor }, other] = await Promise.all([enter('dora'), enter('mallory')])
    await Promise.all([fill(visitor, 'email', 'dora@new.example'), fill(other.visitor, 'email', 'mallory@new.example')])
    const codes = [codeIn(await mail.next('dora@new.example')), codeIn(await mail.next('dora@old.example'))]
    const own = [codeIn(await mail.next('mallory@new.example')), codeIn(await mail.next('mallory@old.example'))]
    for (const code of codes) if (!own.includes(code)) assert.equal((await fill(other.visitor, 'code', code)).status, 400)
    for (let index = 0; index < 5; index += 1) assert.equal((await fill(visitor, 'code', wrong(...codes))).status, 400)
    assert.ok(formWith(await visitor.open('/account/email'), 'code') < 0, 'no try is left')
    assert.equal((await userOf(id)).email, 'dora@old.example')
  })

  test('an address that was never confirmed is confirmed here, and needs not agree to another', async () => {
    const id = await makeUser('finn', { emailVerified: false })
    const { visitor } = await enter('finn')
    const own = await fill(visitor, 'email', 'Finn@old.example')
    assert.equal(own.status, 200, own.text)
    await fill(visitor, 'code', codeIn(await mail.next('Finn@old.example')))
    assert.equal((await userOf(id)).emailVerified, true)
    const same = await fill(visitor, 'email', 'finn@OLD.example')
    assert.equal(same.status, 400, 'it is theirs already')
    const lost = await makeUser('gus', { emailVerified: false })
    const gus = await enter('gus')
    await fill(gus.visitor, 'email', 'gus@new.example')
    await fill(gus.visitor, 'code', codeIn(await mail.next('gus@new.example')))
    assert.deepEqual([(await userOf(lost)).email, (await userOf(lost)).emailVerified], ['gus@new.example', true])
    assert.match((await mail.next('gus@old.example')).subject, /was changed/)
  })

  test('is over as soon as the address is another one, and takes no text that is none', async () => {
    const id = await makeUser('hans')
    const { visitor } = await enter('hans')
    for (const text of ['', 'nowhere', 'a b@c.example', `${'x'.repeat(400)}@example.com`])
      assert.equal((await fill(visitor, 'email', text)).status, 400, text)
    await fill(visitor, 'email', 'hans@new.example')
    const code = codeIn(await mail.next('hans@new.example'))
    const page = await visitor.open('/account/email')
    await signet.api('PATCH', `/api/v1/users/${id}`, { email: 'hans@admin.example', emailVerified: true })
    const late = await visitor.submit(page, { code }, formWith(page, 'code'))
    assert.equal(late.status, 400)
    assert.equal((await userOf(id)).email, 'hans@admin.example')
  })

  test('is asked only of who has signed in lately, and not by another site', async () => {
    await makeUser('ida')
    const { visitor, page } = await enter('ida')
    const { fields } = page.forms[formWith(page, 'email')] ?? assert.fail(page.text)
    const post = (sent: Record<string, string>, origin: string) =>
      visitor.request('/account/email', { method: 'POST', body: new URLSearchParams(sent), headers: { origin } })
    assert.equal((await post({ ...fields, email: 'ida@new.example', token: 'x' }, signet.issuer)).status, 403)
    assert.equal((await post({ ...fields, email: 'ida@new.example' }, 'https://evil.example')).status, 403)
    await signet.database.db.run(sql`
      update sessions set payload = payload || jsonb_build_object('loginTs', (payload ->> 'loginTs')::bigint - 901)
       where user_id = (select user_id from users where username = 'ida')`)
    const stale = await visitor.open('/account/email')
    assert.ok(formWith(stale, 'email') < 0, 'it leads to a sign-in first')
    assert.match(stale.html, /href="\/flow\/authentication\?acr_values=2fa&amp;next=%2Faccount%2Femail"/)
    const late = await post({ ...fields, email: 'ida@new.example' }, signet.issuer)
    assert.deepEqual([late.status, late.headers.get('location')], [303, '/flow/authentication?acr_values=2fa&next=%2Faccount%2Femail'])
  })

  test('mails are so many, then a page that says when to come back', async () => {
    await makeUser('jo')
    const { visitor } = await enter('jo')
    for (let index = 0; index < 5; index += 1) assert.equal((await fill(visitor, 'email', `jo${index}@new.example`)).status, 200)
    const refused = await fill(visitor, 'email', 'jo@new.example')
    assert.equal(refused.status, 429, refused.text)
    assert.ok(Number(refused.headers.get('retry-after')) > 0)
  })

  test('without a mail server the page says who changes addresses', async () => {
    const quiet = await startSignet()
    try {
      const visitor = newVisitor(quiet.issuer)
      const page = await walk(visitor, await visitor.open('/account/email'), { username: 'admin', password: quiet.password })
      assert.match(page.text, /administrator/)
      assert.equal(formWith(page, 'email'), -1)
    } finally {
      await quiet.stop()
    }
  })
})

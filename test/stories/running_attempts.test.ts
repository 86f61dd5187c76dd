/** What a person began and what happens to them meanwhile: a proof that is worth nothing any more carries nobody on. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'
const changed = 'another quiet harbour 9'

describe('a running attempt', () => {
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

  const makeUser = async (username: string): Promise<string> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username,
      email: `${username}@example.com`,
      emailVerified: true,
    })
    assert.equal(made.status, 201, made.text)
    await setPassword(made.body.id, password)
    return made.body.id
  }
  const setPassword = async (id: string, to: string) => {
    const { status, text } = await signet.api('POST', `/api/v1/users/${id}/password`, { password: to })
    assert.equal(status, 204, text)
  }
  const enter = async (visitor: Visitor, username: string, with_ = password): Promise<Page> =>
    walk(visitor, await visitor.open(`${signet.issuer}/flow/authentication?next=/account`), { username, password: with_ })
  const addTotp = async (visitor: Visitor): Promise<string> => {
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    const done = await visitor.submit(offered, { code: totpCode(app) })
    assert.equal(new URL(done.url).pathname, '/account/factors')
    return app
  }
  const isSignedIn = async (visitor: Visitor) => (await visitor.request('/api/v1/me')).status === 200
  const nextCode = (app: string) => totpCode(app, new Date(Date.now() + 30_000))

  it('in which a password was proven ends when it is changed, whoever changes it', async () => {
    const id = await makeUser('ada')
    const owner = newVisitor(signet.issuer)
    await enter(owner, 'ada')
    const app = await addTotp(owner)
    const thief = newVisitor(signet.issuer)
    const asked = await enter(thief, 'ada')
    assert.deepEqual(asked.forms[0]?.names, ['code'])
    await setPassword(id, changed)
    const refused = await thief.submit(asked, { code: nextCode(app) })
    assert.equal(refused.status, 409, refused.text)
    assert.equal(await isSignedIn(thief), false)
    assert.equal((await thief.open(asked.url)).status, 409)
    // The code is not used up by it, and the new password is as good as any.
    const again = newVisitor(signet.issuer)
    await again.submit(await enter(again, 'ada', changed), { code: nextCode(app) })
    assert.equal(await isSignedIn(again), true)
  })

  it('sets no new password in place of the one that was set meanwhile', async () => {
    const id = await makeUser('bea')
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: renew, namespace: default }
spec:
  designation: authentication
  stages: [{ stage: identification }, { stage: password }, { stage: password_change, only: always }, { stage: user_login }]
`)
    const thief = newVisitor(signet.issuer)
    const asked = await walk(thief, await thief.open(`${signet.issuer}/flow/renew`), { username: 'bea', password })
    assert.deepEqual(asked.forms[0]?.names, ['password', 'passwordRepeat'])
    await setPassword(id, changed)
    const theirs = 'the thief chooses this 1'
    assert.equal((await thief.submit(asked, { password: theirs, passwordRepeat: theirs })).status, 409)
    const owner = newVisitor(signet.issuer)
    const renewed = await walk(owner, await owner.open(`${signet.issuer}/flow/renew`), { username: 'bea', password: changed })
    const own = 'the owner chooses this 1'
    await owner.submit(renewed, { password: own, passwordRepeat: own })
    assert.equal(await isSignedIn(owner), true, 'a password that is changed in the attempt itself is the one it goes on with')
  })

  it('of a recovery ends when the password is set in another way', async () => {
    const id = await makeUser('cid')
    const visitor = newVisitor(signet.issuer)
    await visitor.submit(await visitor.open(`${signet.issuer}/flow/recovery`), { username: 'cid' })
    const link = /https?:\/\/\S+\/flow\/recovery\?token=[\w-]+/.exec((await mail.next('cid@example.com')).text)?.[0] ?? assert.fail()
    const asked = await visitor.submit(await visitor.open(link))
    assert.deepEqual(asked.forms[0]?.names, ['password', 'passwordRepeat'])
    await setPassword(id, changed)
    const theirs = 'the thief chooses this 1'
    assert.equal((await visitor.submit(asked, { password: theirs, passwordRepeat: theirs })).status, 409)
  })

  it('that sets up a factor ends when the sign-in is too long ago, and leads to another one', async () => {
    await makeUser('dan')
    const visitor = newVisitor(signet.issuer)
    await enter(visitor, 'dan')
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    const signedInBefore = (seconds: number) =>
      signet.database.db.run(sql`
        update sessions set payload = payload || jsonb_build_object('loginTs', ${Math.floor(Date.now() / 1_000) - seconds}::bigint)
         where user_id = (select user_id from users where username = 'dan')`)
    await signedInBefore(21 * 60)
    const late = await visitor.submit(offered, { code: totpCode(app) })
    assert.equal(late.status, 409, late.text)
    const [, next = ''] = /href="(\/flow\/authenticator_totp)"/.exec(late.html) ?? []
    assert.equal(new URL((await visitor.open(next)).url).pathname, '/flow/authentication')
    await signedInBefore(19 * 60)
    const inTime = await visitor.submit(offered, { code: totpCode(app) })
    assert.equal(new URL(inTime.url).pathname, '/account/factors', inTime.text)
  })
})

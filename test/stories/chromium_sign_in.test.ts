/** How a person proves who they are, in Chromium with an authenticator of its own: from the invitation to the mail that gets them back in. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { addAuthenticator, openBrowser, openContext } from '../support/browser.ts'
import { needs } from '../support/needs.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'

describe('in Chromium a person', needs('chromium'), () => {
  let signet: Signet
  let mail: MailServer
  let browser: Browser
  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
    browser = await openBrowser()
  })
  after(async () => {
    await browser?.close()
    await signet?.stop()
    await mail?.stop()
  })

  const makeUser = async (username: string): Promise<void> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username,
      email: `${username}@example.com`,
      emailVerified: true,
    })
    assert.equal(made.status, 201, made.text)
    assert.ok((await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })).status < 300)
  }

  /** A browser of its own, that complains of whatever a page does wrong. `expects`: texts of complaints that are none, such as of a 400. */
  const inBrowser = async (run: (page: Page, context: BrowserContext) => Promise<void>, expects: RegExp = /^$/): Promise<void> => {
    const { context, complaints } = await openContext(browser, { javaScript: true, origins: [signet.issuer] })
    try {
      await run(await context.newPage(), context)
      assert.deepEqual(
        complaints.filter((complaint) => !expects.test(complaint)),
        [],
      )
    } finally {
      await context.close()
    }
  }
  const refusedAnswer = /status of (400|409)/

  const at = (path: string) => (url: URL) => url.pathname === path
  const submit = (page: Page) => page.click('form[method=post] button.first[type=submit]')
  /** Waits for it: a click does not wait for the page it leads to. */
  const reads = (page: Page, text: RegExp) => page.locator('main').filter({ hasText: text }).waitFor()
  const asksFor = (page: Page, name: string) => page.waitForSelector(`[name=${name}]`)

  const enter = async (page: Page, username: string, { path = '/account', secret = password } = {}): Promise<void> => {
    await page.goto(`${signet.issuer}/flow/authentication?next=${path}`)
    await page.fill('[name=username]', username)
    await submit(page)
    await page.fill('[name=password]', secret)
    await submit(page)
  }

  const signOut = async (page: Page): Promise<void> => {
    // Not on to the sign-in page: there an authenticator that agrees to everything would sign them in again before anyone looks.
    await page.goto(`${signet.issuer}/flow/invalidation?next=/api/docs`)
    await submit(page)
    await page.waitForURL(at('/api/docs'))
    assert.equal((await page.request.get(`${signet.issuer}/api/v1/me`)).status(), 401)
  }

  const sessionOf = async (page: Page): Promise<{ username: string; session: { acr: string; amr: string[] } }> => {
    const answer = await page.request.get(`${signet.issuer}/api/v1/me`)
    assert.equal(answer.status(), 200)
    return (await answer.json()) as { username: string; session: { acr: string; amr: string[] } }
  }

  it('enrols by the invitation that was mailed, registers a passkey, signs out, and signs in by the passkey alone', () =>
    inBrowser(async (page, context) => {
      const invited = await signet.api('POST', '/api/v1/invitations', { email: 'nina@example.com', expiresIn: '1h', send: true })
      assert.equal(invited.status, 201, invited.text)
      const link = /https?:\/\/\S+invitation=[\w-]+/.exec((await mail.next('nina@example.com')).text)?.[0] ?? assert.fail('no link')
      await addAuthenticator(context, page)
      await page.goto(link)
      assert.equal(await page.inputValue('[name=email]'), 'nina@example.com')
      for (const [name, value] of Object.entries({ username: 'nina', name: 'Nina Harbour', password, passwordRepeat: password }))
        await page.fill(`[name=${name}]`, value)
      await submit(page)
      await page.waitForURL(at('/'))
      assert.equal((await sessionOf(page)).username, 'nina')

      await page.goto(`${signet.issuer}/account/factors`)
      await page.click('a[href$="/flow/authenticator_webauthn"]')
      await page.fill('[name=name]', 'Laptop')
      await page.click('[name=passkey]')
      await page.waitForURL(at('/account/factors'))
      await reads(page, /Laptop/)

      await signOut(page)
      await page.goto(`${signet.issuer}/flow/authentication?next=/account`)
      // The browser offers it by itself as well, and its authenticator agrees at once: then the button is gone.
      await page.click('[name=passkey]', { timeout: 2_000 }).catch(() => undefined)
      await page.waitForURL(at('/account'))
      const { username, session } = await sessionOf(page)
      assert.deepEqual([username, session.acr], ['nina', 'phr'])
      assert.ok(session.amr.includes('user') && !session.amr.includes('pwd'), session.amr.join())

      await page.goto(link)
      await reads(page, /This invitation does not work/)
    }, /status of 403/))

  it('sets up an app and is asked for its code, which is good once', () =>
    inBrowser(async (page) => {
      await makeUser('tom')
      await enter(page, 'tom')
      await page.goto(`${signet.issuer}/flow/authenticator_totp`)
      const app = (await page.getAttribute('a[href^="otpauth:"]', 'href')) ?? assert.fail('no otpauth address')
      const began = Date.now()
      await page.fill('[name=code]', totpCode(app, new Date(began)))
      await submit(page)
      await page.waitForURL(at('/account/factors'))
      await signOut(page)
      await enter(page, 'tom')
      await page.fill('[name=code]', totpCode(app, new Date(began)))
      await submit(page)
      await reads(page, /The code is wrong, or was used before/)
      await page.fill('[name=code]', totpCode(app, new Date(began + 30_000)))
      await submit(page)
      await page.waitForURL(at('/account'))
      const { session } = await sessionOf(page)
      assert.deepEqual([session.acr, session.amr], ['2fa', ['pwd', 'otp', 'mfa']])
    }, refusedAnswer))

  it('signs in by a recovery code once, and not twice', () =>
    inBrowser(async (page) => {
      await makeUser('rita')
      await enter(page, 'rita')
      await page.goto(`${signet.issuer}/flow/authenticator_static`)
      const codes = await page.locator('main code').allTextContents()
      assert.ok(codes.length >= 8)
      await submit(page)
      await page.waitForURL(at('/account/factors'))
      const answer = async (code: string) => {
        await signOut(page)
        await enter(page, 'rita')
        await page.fill('[name=code]', code)
        await submit(page)
      }
      const [code = '', other = ''] = codes
      await answer(code)
      await page.waitForURL(at('/account'))
      await answer(code)
      await reads(page, /The code is wrong, or was used before/)
      assert.equal((await page.request.get(`${signet.issuer}/api/v1/me`)).status(), 401)
      await page.fill('[name=code]', other)
      await submit(page)
      await page.waitForURL(at('/account'))
    }, refusedAnswer))

  it('gets back in by a link that was mailed, opened in another browser, with a password of their choice', async () => {
    await makeUser('rob')
    await inBrowser(async (page) => {
      await page.goto(`${signet.issuer}/flow/authentication`)
      await page.click('a[href$="/flow/recovery"]')
      await page.fill('[name=username]', 'rob')
      await submit(page)
      await reads(page, /Look into your mailbox/)
    })
    const link =
      /https?:\/\/\S+\/flow\/recovery\?token=[\w-]+/.exec((await mail.next('rob@example.com', /token=/)).text)?.[0] ??
      assert.fail('no link')
    const renewed = 'another quiet harbour 9'
    await inBrowser(async (page) => {
      await page.goto(link)
      await submit(page)
      await page.fill('[name=password]', renewed)
      await page.fill('[name=passwordRepeat]', renewed)
      await submit(page)
      await page.waitForURL(at('/'))
      assert.equal((await sessionOf(page)).username, 'rob')
      await signOut(page)
      await enter(page, 'rob')
      await reads(page, /The name or the password is wrong/)
      await enter(page, 'rob', { secret: renewed })
      await page.waitForURL(at('/account'))
      await page.goto(link)
      await reads(page, /This link does not work any more/)
    }, /status of (400|403)/)
  })

  it('goes back, reloads and uses a second tab, and is led on each time', () =>
    inBrowser(async (page, context) => {
      await makeUser('bea')
      await page.goto(`${signet.issuer}/flow/authentication?next=/account`)
      const second = await context.newPage()
      await second.goto(page.url())
      await page.fill('[name=username]', 'bea')
      await submit(page)
      await asksFor(page, 'password')
      await page.reload()
      await asksFor(page, 'password')
      await page.goBack()
      await asksFor(page, 'password')

      // Asked before the first tab went on.
      await second.fill('[name=username]', 'somebody-else')
      await submit(second)
      await reads(second, /This page is out of date/)
      await second.click('main a.first')
      await asksFor(second, 'password')
      await second.fill('[name=password]', password)
      await submit(second)
      await second.waitForURL(at('/account'))
      assert.equal((await sessionOf(second)).username, 'bea')

      await page.fill('[name=password]', password)
      await submit(page)
      await reads(page, /This page is out of date/)
      await page.reload()
      await reads(page, /This page is out of date/)
      await page.click('main a.first')
      await page.waitForURL(at('/account'))

      await second.goBack()
      await reads(second, /This page is out of date/)
      await second.click('main a.first')
      await second.waitForURL(at('/account'))
    }, refusedAnswer))
})

/** Every page of a real server in a Chromium that runs no scripts: seen, and gone through. Only a passkey and the puzzle need them, and say so. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Axe, openAxe } from '../support/axe.ts'
import { openBrowser, openContext } from '../support/browser.ts'
import { needs } from '../support/needs.ts'
import { authorizeUrl, basic, type ClientCredentials, makeClient, post, redirectUri } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const templates = new URL('../../templates/pages/', import.meta.url)
/** Every page there is: what stands on a layout and is none. */
const pageNames = readdirSync(templates)
  .filter((file) => file.endsWith('.liquid') && file !== 'portal.liquid')
  .filter((file) => readFileSync(new URL(file, templates), 'utf8').startsWith('{% layout'))
  .map((file) => file.replace('.liquid', ''))

const flows = `
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: join, namespace: default }
spec:
  designation: enrollment
  stages:
    - { stage: terms, text: Be kind. }
    - stage: prompt
      fields: [{ name: username }, { name: email, type: email }, { name: team, type: select, options: [red, blue] }, { name: password, type: password }]
    - { stage: email, template: email_confirmation }
    - stage: user_write
    - stage: user_login
---
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: puzzle, namespace: default }
spec: { designation: authentication, stages: [{ stage: captcha, difficulty: 8 }, { stage: identification }] }
`
const password = 'quiet harbour lantern 7'
/** A list of leaked passwords. Without it no new password is taken. */
const leaked = mkdtempSync(join(tmpdir(), 'signet-leaked-'))

describe('without scripts', needs('chromium'), () => {
  let signet: Signet
  let mail: MailServer
  let client: ClientCredentials
  let browser: Browser
  let axe: Axe
  const seen = new Set<string>()

  before(async () => {
    mail = await startMailServer()
    const settings = { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>', BREACHED_PASSWORDS_DIR: leaked }
    writeFileSync(join(leaked, '00000.txt'), `${'0'.repeat(35)}:1\n`)
    signet = await startSignet({ settings })
    browser = await openBrowser()
    axe = await openAxe(browser, [signet.issuer])
    client = await makeClient(signet, 'shop')
    await signet.apply(flows)
  })
  after(async () => {
    await browser?.close()
    await signet?.stop()
    rmSync(leaked, { recursive: true, force: true })
    await mail?.stop()
  })

  const newBrowser = async () => {
    const origins = [signet.issuer, new URL(redirectUri).origin]
    const { context, complaints } = await openContext(browser, { javaScript: false, origins })
    await context.route(`${redirectUri}**`, (route) => route.fulfill({ body: 'the client' }))
    const close = async () => {
      await context.close()
      assert.deepEqual(
        complaints.filter((complaint) => !/status of (404|503)/.test(complaint)),
        [],
      )
    }
    return { page: await context.newPage(), close }
  }
  const inBrowser = async (run: (page: Page) => Promise<void>): Promise<void> => {
    const { page, close } = await newBrowser()
    await run(page)
    await close()
  }

  /** Waits for a page of that name and looks at it. `stage` pages carry their name, the others are told by what they are titled. */
  const see = async (page: Page, name: string, title?: RegExp): Promise<void> => {
    assert.ok(pageNames.includes(name), name)
    if (title) await page.locator('h1').filter({ hasText: title }).waitFor()
    else await page.locator(`form input[name=stage][value=${name}]`).first().waitFor({ state: 'attached' })
    assert.equal(await page.locator('[onclick], [onsubmit], a[href^="javascript:"]').count(), 0, name)
    for (const form of await page.locator('form[method=post]').all())
      if (!(await isForPasskey(page))) assert.ok(await form.locator('button[type=submit]').first().isVisible(), `${name}: a form to send`)
    if (!seen.has(name)) assert.deepEqual(await axe.violations(page), [], name)
    seen.add(name)
  }
  const isForPasskey = async (page: Page) => (await page.locator('[name=passkey][data-mode=create]').count()) > 0

  const submit = (page: Page) => page.locator('form[method=post] button[type=submit]').first().click()
  const send = async (page: Page, fields: Record<string, string> = {}): Promise<void> => {
    for (const [name, value] of Object.entries(fields)) await page.fill(`[name=${name}]`, value)
    await submit(page)
  }
  const open = (page: Page, path: string) => page.goto(`${signet.issuer}${path}`)
  /** What stands in noscript is no text to the ways in which Chromium is asked for texts. */
  const saysItNeedsScripts = async (page: Page, text: RegExp): Promise<void> => {
    const note = page.locator('noscript p')
    assert.ok(await note.isVisible())
    assert.ok(!(await page.locator('[name=passkey]').isVisible()), 'a button that does nothing')
    assert.match((await note.textContent()) ?? '', text)
  }
  const isIn = async (page: Page) => (await page.request.get(`${signet.issuer}/api/v1/me`)).status() === 200
  /** The first one got lost. */
  const codeSentAgain = async (page: Page, to: string): Promise<string> => {
    const lost = await codeIn(to)
    await page.getByRole('button', { name: 'Send it again' }).click()
    const code = await codeIn(to)
    assert.notEqual(code, lost)
    return code
  }
  const codeIn = async (to: string) => /^\s*(\d{6})\s*$/m.exec((await mail.next(to, /^\s*\d{6}\s*$/m)).text)?.[1] ?? assert.fail('no code')

  /** One after the other in one browser. */
  describe('a person', () => {
    let page: Page
    let codes: string[] = []
    let close: () => Promise<void>
    before(async () => {
      ;({ page, close } = await newBrowser())
    })
    after(() => close?.())

    it('enrols, and finds their pages', async () => {
      const invited = await signet.api<{ url: string }>('POST', '/api/v1/invitations', {
        email: 'nora@example.com',
        expiresIn: '1h',
        send: false,
      })
      await page.goto(invited.body.url)
      await see(page, 'prompt')
      await send(page, { username: 'nora', password, passwordRepeat: password })
      await see(page, 'applications', /Your applications/)

      for (const [name, title] of Object.entries({
        sessions: /Where you are/,
        consents: /What you have allowed/,
        password: /Change your/,
      })) {
        await open(page, `/account/${name}`)
        await see(page, `account_${name}`, title)
      }
      await send(page, { currentPassword: password, password: `${password} 8`, passwordRepeat: `${password} 8` })
      await page.getByText('Your password is changed').waitFor()
      await open(page, '/account')
      await see(page, 'account', /My account/)

      await open(page, '/account/email')
      await see(page, 'account_email', /Your e-mail address/)
      await send(page, { email: 'new@example.com' })
      await page.getByText('Waiting for codes').waitFor()
      await mail.next('nora@example.com', /new@example\.com/)
      await send(page, { code: await codeIn('new@example.com') })
      await page.getByText('Has agreed', { exact: true }).waitFor()
      await page.getByRole('button', { name: 'Do not change it' }).click()
      await page.getByText('Change the address', { exact: true }).waitFor()
    })

    it('sets up factors', async () => {
      await open(page, '/account/factors')
      await see(page, 'account_factors', /How you prove/)
      await page.click('a[href$="/flow/authenticator_webauthn"]')
      await see(page, 'authenticator_webauthn')
      await saysItNeedsScripts(page, /Passkeys need scripts/)

      await open(page, '/flow/authenticator_totp')
      await see(page, 'authenticator_totp')
      await send(page, { code: totpCode((await page.getAttribute('a[href^="otpauth:"]', 'href')) ?? '') })
      await see(page, 'account_factors', /How you prove/)
      await open(page, '/flow/authenticator_static')
      await see(page, 'authenticator_static')
      codes = await page.locator('main code').allTextContents()
      await submit(page)
      await see(page, 'account_factors', /How you prove/)
      await open(page, '/flow/authenticator_email')
      await see(page, 'authenticator_email')
      await send(page, { code: await codeSentAgain(page, 'nora@example.com') })
      await see(page, 'account_factors', /How you prove/)
    })

    it('signs in with two of them, and agrees', async () => {
      await open(page, '/flow/invalidation')
      await see(page, 'user_logout')
      await submit(page)
      await see(page, 'identification')
      assert.equal(await isIn(page), false)
      await saysItNeedsScripts(page, /Passkeys need scripts/)

      await page.goto(authorizeUrl(signet, client).url)
      await see(page, 'identification')
      await send(page, { username: 'nora' })
      await see(page, 'password')
      await send(page, { password: `${password} 8` })
      await see(page, 'authenticator_validate')
      await page.getByRole('button', { name: 'Send me a code by mail' }).click()
      await page.getByText('a code is on its way').waitFor()
      await see(page, 'authenticator_validate')
      await send(page, { code: await codeIn('nora@example.com') })
      await see(page, 'consent')
      await submit(page)
      await page.getByText('the client').waitFor()
      assert.ok(new URL(page.url()).searchParams.get('code'))
    })

    it('connects a device, and signs out', async () => {
      const device = await post(`${signet.issuer}/oauth2/device`, { scope: 'openid email' }, basic(client))
      await open(page, '/oauth2/device')
      await see(page, 'device_input', /Connect a device/)
      await send(page, { user_code: String(device.body.user_code) })
      await see(page, 'device_confirm', /Connect Client shop/)
      await submit(page)
      await see(page, 'device_success', /Your device is connected/)

      await open(page, '/oauth2/end-session')
      await see(page, 'logout_confirm', /Sign out/)
      await submit(page)
      await see(page, 'logged_out', /You are signed out/)

      // Where nobody is signed in, the same is posted on.
      await open(page, '/oauth2/end-session')
      await see(page, 'form_post', /Continue/)
      await submit(page)
      await see(page, 'logged_out', /You are signed out/)
    })

    it('gets back in by a mail and a recovery code, and closes the account', async () => {
      await open(page, '/flow/recovery')
      await see(page, 'identification')
      await send(page, { username: 'nora' })
      await see(page, 'email')
      const link = /https?:\/\/\S+token=[\w-]+/.exec((await mail.next('nora@example.com', /token=/)).text)?.[0] ?? assert.fail('no link')
      await page.goto(link)
      await see(page, 'email')
      await submit(page)
      await see(page, 'authenticator_validate')
      await send(page, { code: codes[0] ?? '' })
      await see(page, 'password_change')
      await send(page, { password: `${password} 9`, passwordRepeat: `${password} 9` })
      await see(page, 'applications', /Your applications/)

      await open(page, '/flow/unenrollment')
      await see(page, 'password')
      await send(page, { password: `${password} 9` })
      await see(page, 'user_delete')
      await submit(page)
      await page.waitForURL((url) => !url.pathname.includes('unenrollment'))
      assert.equal(await isIn(page), false)
      const { body } = await signet.api<{ items: unknown[] }>('GET', '/api/v1/users?q=nora')
      assert.deepEqual(body.items, [])
    })
  })

  it('a person accepts terms, chooses, and proves an address by a code', () =>
    inBrowser(async (page) => {
      await open(page, '/flow/join?next=/account')
      await see(page, 'terms')
      await page.check('[name=accept]')
      await submit(page)
      await see(page, 'prompt')
      await page.selectOption('[name=team]', 'blue')
      await send(page, { username: 'jon', email: 'jon@example.com', password })
      await see(page, 'email')
      await send(page, { code: await codeSentAgain(page, 'jon@example.com') })
      await see(page, 'account', /My account/)
      const { body } = await signet.api<{ items: { attributes: object; emailVerified: boolean }[] }>('GET', '/api/v1/users?q=jon')
      assert.deepEqual([body.items[0]?.attributes, body.items[0]?.emailVerified], [{ team: 'blue' }, true])
    }))

  it('a puzzle says that it needs them', () =>
    inBrowser(async (page) => {
      await open(page, '/flow/puzzle')
      await see(page, 'captcha')
      await saysItNeedsScripts(page, /This step needs scripts/)
    }))

  it('a page that there is not, and one that has to wait, say so', () =>
    inBrowser(async (page) => {
      await open(page, '/flow/nothing')
      await see(page, 'error', /There is no such page/)
      rmSync(leaked, { recursive: true })
      await open(page, '/flow/join')
      await page.check('[name=accept]')
      await submit(page)
      await see(page, 'prompt')
      await send(page, { username: 'kim', email: 'kim@example.com', password })
      await see(page, 'busy', /One moment, please/)
    }))

  it('every page was seen', () =>
    assert.deepEqual(
      pageNames.filter((name) => !seen.has(name)),
      [],
    ))
})

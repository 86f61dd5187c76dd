/** A newcomer's first minute: `up --demo`, a real browser, the whole sign-in to a real application and out again. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { openBrowser, openContext } from '../support/browser.ts'
import { needs } from '../support/needs.ts'
import { freePort } from '../support/postgres.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

describe('the demo application in Chromium', needs('chromium'), () => {
  let signet: Signet
  let browser: Browser
  let demo: string
  before(async () => {
    const port = await freePort()
    demo = `http://localhost:${port}`
    signet = await startSignet({ flags: ['--demo', '--demo-port', String(port)] })
    browser = await openBrowser()
    await until(() =>
      fetch(demo).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username: 'ada',
      name: 'Ada Lovelace',
      email: 'ada@example.com',
    })
    assert.equal(made.status, 201, made.text)
    await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password: 'analytical engine' })
    await signet.api('POST', '/api/v1/groups', { name: 'engineers', members: ['ada'] })
  })
  after(async () => {
    await browser?.close()
    await signet?.stop()
  })

  for (const javaScript of [true, false])
    test(`password, consent, claims shown, sign out, ${javaScript ? 'with' : 'without'} JavaScript`, async () => {
      const { context, complaints } = await openContext(browser, { javaScript, origins: [signet.issuer, demo] })
      const page = await context.newPage()
      try {
        await page.goto(demo)
        await page.getByRole('button', { name: 'Sign in' }).click()

        assert.equal(new URL(page.url()).origin, signet.issuer)
        assert.ok((await page.title()).length > 3)
        assert.equal(await page.locator('h1').count(), 1)
        await page.locator('input[name=username]').fill('ada')
        if ((await page.locator('input[name=password]').count()) === 0)
          await page.locator('form').first().locator('button[type=submit]').click()
        await page.locator('input[name=password]').fill('wrong on purpose')
        await page.locator('input[name=password]').press('Enter')
        await page.locator('[role=alert]').first().waitFor()
        if ((await page.locator('input[name=username]').count()) > 0) await page.locator('input[name=username]').fill('ada')
        await page.locator('input[name=password]').fill('analytical engine')
        await page.locator('form').first().locator('button[type=submit]').click()

        // Without JavaScript the person has consented before, in the other round: then nobody asks again.
        await page.waitForLoadState()
        if (new URL(page.url()).origin === signet.issuer) {
          await page.getByText('Demo application').first().waitFor()
          await page.locator('form').first().locator('button[type=submit]').click()
        } else assert.ok(!javaScript, 'the first sign-in asks for consent')

        await page.getByRole('heading', { name: 'Hello, Ada Lovelace' }).waitFor()
        assert.equal(new URL(page.url()).origin, demo)
        const text = (await page.locator('main').textContent()) ?? ''
        for (const claim of ['ada@example.com', 'engineers', signet.issuer]) assert.ok(text.includes(claim), `${claim} in ${text}`)

        // The portal knows the same person.
        const portal = await context.newPage()
        await portal.goto(`${signet.issuer}/account/sessions`)
        assert.ok(!portal.url().includes('/flow/'), portal.url())
        await portal.close()

        await page.getByRole('button', { name: 'Sign out' }).click()
        await page.waitForLoadState()
        if (new URL(page.url()).origin === signet.issuer) await page.locator('form').first().locator('button[type=submit]').first().click()
        await page.getByRole('button', { name: 'Sign in' }).waitFor()
        assert.equal(new URL(page.url()).origin, demo)

        // Signed out here as well: the next sign-in asks for the password.
        await page.getByRole('button', { name: 'Sign in' }).click()
        await page.locator('input[name=username], input[name=password]').first().waitFor()
        // Declining is a form of its own after it.
        await page.locator('form').nth(1).locator('button').click()
        await page.getByRole('heading', { name: 'You did not sign in' }).waitFor()
        // 400 is what a refused form and a declined sign-in answer; Chromium writes that to its console.
        assert.deepEqual(
          complaints.filter((complaint) => !/status of 400/.test(complaint)),
          [],
        )
      } catch (error) {
        throw new Error(
          `at ${page.url()}:\n${(
            await page
              .locator('body')
              .textContent()
              .catch(() => '')
          )?.slice(0, 1_500)}`,
          { cause: error },
        )
      } finally {
        await context.close()
      }
    })

  test('the sign-in page is under 30 kB over the wire and asks nobody else for anything', async () => {
    const { context, complaints } = await openContext(browser, { javaScript: true, origins: [signet.issuer] })
    let bytes = 0
    context.on('response', async (response) => {
      const { responseBodySize, responseHeadersSize } = await response.request().sizes()
      bytes += responseBodySize + responseHeadersSize
    })
    const page = await context.newPage()
    await page.goto(`${signet.issuer}/flow/authentication`, { waitUntil: 'networkidle' })
    assert.ok(bytes > 500 && bytes < 30_000, `${bytes} bytes`)
    assert.deepEqual(complaints, [])
    await context.close()
  })

  test('every field has a label, and a keyboard alone signs in', async () => {
    const { context } = await openContext(browser, { javaScript: false, origins: [signet.issuer] })
    const page = await context.newPage()
    await page.goto(`${signet.issuer}/flow/authentication`)
    for (const field of await page.locator('input:not([type=hidden])').all()) {
      const id = await field.getAttribute('id')
      assert.ok(id && (await page.locator(`label[for="${id}"]`).count()) === 1, `label of ${await field.getAttribute('name')}`)
    }
    assert.ok(await page.locator('html').getAttribute('lang'))
    assert.equal(await page.locator('main').count(), 1)
    await page.locator('input[name=username]').focus()
    await page.keyboard.type('ada')
    if ((await page.locator('input[name=password]').count()) > 0) await page.keyboard.press('Tab')
    else {
      await page.keyboard.press('Enter')
      await page.locator('input[name=password]').waitFor()
    }
    await page.locator('input[name=password]').focus()
    await page.keyboard.type('analytical engine')
    await page.keyboard.press('Enter')
    await page.waitForURL((url) => !url.pathname.startsWith('/flow/'))
    await context.close()
  })
})

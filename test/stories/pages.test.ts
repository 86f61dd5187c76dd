/** Every page as Chromium shows it: axe-core finds nothing, nothing is wider than a phone, nothing is asked of elsewhere. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import type { PageName, PageVariables } from '#/flow/page_variables.ts'
import { openPages, type Page, type PageOptions } from '#/flow/pages.ts'
import { openLog } from '#/lib/log.ts'
import { openBrowser, openContext } from '../support/browser.ts'
import { needs } from '../support/needs.ts'

const pages = openPages({ log: openLog('silent') })
const form = { action: '/', hidden: { xsrf: 'x' } }
const frame = { person: { username: 'ann', name: 'Ann Archer' }, token: 'x', sign_out: '/' }
const client = { name: 'Harbour Wiki', logo_uri: '', policy_uri: 'https://wiki.example/privacy', tos_uri: 'https://wiki.example/terms' }
const stage = { action: '/', attempt: 'x', fields: [], mistakes: [], client, canDecline: true, canRestart: true, scopes: [] }
const username = {
  name: 'username',
  type: 'text',
  label: 'Name or e-mail',
  required: true,
  autocomplete: 'username',
  value: '',
  isWrong: false,
} as const
const password = {
  name: 'password',
  type: 'password',
  label: 'Password',
  required: true,
  autocomplete: 'current-password',
  isWrong: true,
} as const
const code = { name: 'code', type: 'text', label: 'Code', required: true, autocomplete: 'one-time-code', isWrong: true } as const
const called = { name: 'name', type: 'text', label: 'Name', required: false, autocomplete: 'off', isWrong: false } as const
const passkey = { challenge: 'AAAA', rpId: 'localhost', userVerification: 'required', allowCredentials: [] }
const mistakes = [{ field: 'password', text: 'The name or the password is wrong.' }]
const then = new Date('2026-11-23T12:00:00Z')

/** Each page, as full as it gets. */
const samples: { [Name in PageName]: PageVariables[Name] } = {
  identification: { ...stage, stage: 'identification', fields: [username], more: { passkey }, recovery: '/' },
  authenticator_validate: {
    ...stage,
    stage: 'authenticator_validate',
    fields: [
      code,
      {
        name: 'remember',
        type: 'checkbox',
        label: 'Do not ask for this on this device again for a while',
        required: false,
        isWrong: false,
      },
    ],
    mistakes: [{ field: 'code', text: 'The code is wrong.' }],
    more: { passkey, methods: ['email'] },
  },
  authenticator_webauthn: { ...stage, stage: 'authenticator_webauthn', fields: [called], more: { passkey } },
  authenticator_totp: {
    ...stage,
    stage: 'authenticator_totp',
    fields: [{ ...code, isWrong: false }, called],
    more: {
      otpauthUrl: 'otpauth://totp/Harbour:ann@example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Harbour',
      qr: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9H0z"/></svg>',
    },
  },
  authenticator_email: {
    ...stage,
    stage: 'authenticator_email',
    fields: [{ ...code, isWrong: false }, called],
    more: { sentTo: 'ann@example.com', methods: ['email'] },
  },
  authenticator_static: {
    ...stage,
    stage: 'authenticator_static',
    fields: [called],
    more: { codes: Array.from({ length: 10 }, (_, index) => `7KQ${index}-M2XV-9TRB`) },
  },
  prompt: {
    ...stage,
    stage: 'prompt',
    fields: [
      { ...username, isWrong: true },
      { ...called, name: 'team', type: 'select', label: 'Team', options: [{ value: 'a', label: 'Harbour' }] },
      { name: 'accept', type: 'checkbox', label: 'I agree', required: true, isWrong: false },
    ],
    mistakes: [{ field: 'username', text: 'Someone has this name already. Choose another one.' }],
  },
  email: { ...stage, stage: 'email', more: { sentTo: '' } },
  captcha: {
    ...stage,
    stage: 'captcha',
    fields: [{ name: 'solution', type: 'hidden', label: 'Proof', required: true, isWrong: false }],
    more: { captcha: { salt: 'x', difficulty: 8 } },
  },
  terms: {
    ...stage,
    stage: 'terms',
    fields: [{ name: 'accept', type: 'checkbox', label: 'I agree', required: true, isWrong: false }],
    more: { terms: { text: 'Be kind.\n'.repeat(60), url: 'https://id.example/terms' } },
  },
  password_change: {
    ...stage,
    stage: 'password_change',
    fields: [password, { ...password, name: 'passwordRepeat', label: 'Once more', isWrong: false }],
    mistakes,
  },
  user_delete: { ...stage, stage: 'user_delete' },
  password: { ...stage, stage: 'password', username: 'ann@example.com', fields: [password], mistakes },
  consent: {
    ...stage,
    stage: 'consent',
    person: 'Ann Archer',
    scopes: [
      { name: 'openid', text: 'know who you are' },
      { name: 'x', text: 'use “an-uncommonly-long-scope-that-has-no-place-to-break:read” for you' },
    ],
  },
  user_logout: { ...stage, stage: 'user_logout' },
  error: { error: 'invalid_request', error_description: 'redirect_uri did not match', request_id: 'abc-def', retry: '/' },
  busy: { retry: '/' },
  device_input: { ...form, user_code: 'BCDF-GHJK', mistake: 'unknown' },
  device_confirm: { ...form, client, user_code: 'BCDF-GHJK', network: '192.0.2.7', user_agent: 'Firefox, Linux' },
  device_success: { client },
  form_post: { action: '/', hidden: { code: 'x', state: 'y' }, client },
  logout_confirm: { ...form, client },
  logged_out: { client },
  applications: {
    ...frame,
    applications: [
      { name: 'Harbour Wiki', description: 'What we know, written down.', url: 'https://wiki.example/', initial: 'H' },
      { name: 'Mail', url: 'https://mail.example/', initial: 'M' },
    ],
  },
  account: { ...frame, email: 'ann@example.com', groups: ['staff', 'harbour'], signedInAt: then, close: '/' },
  account_sessions: {
    ...frame,
    notice: 'notice.session_ended',
    isFirst: false,
    next: 'more',
    sessions: [
      { uid: 'a', device: 'Firefox, Linux', network: '192.0.2.7', createdAt: then, lastUsedAt: then, expiresAt: then, isCurrent: true },
      {
        uid: 'b',
        network: '2001:db8:85a3:8d3:1319:8a2e:370:7348',
        elsewhere: 'sign-in.partners.harbour.example/people',
        createdAt: then,
        lastUsedAt: then,
        expiresAt: then,
        isCurrent: false,
      },
    ],
    devices: [{ id: 'c', device: 'Firefox, Linux', createdAt: then, expiresAt: then }],
  },
  account_consents: { ...frame, consents: [{ id: 'a', client: 'Harbour Wiki', scopes: ['know who you are'], createdAt: then }] },
  account_factors: {
    ...frame,
    factors: [
      { id: 'a', type: 'webauthn', name: 'Laptop', createdAt: then, lastUsedAt: then },
      { id: 'b', type: 'static', name: null, createdAt: then, lastUsedAt: null },
    ],
    kinds: ['webauthn', 'totp', 'static', 'email'],
  },
  account_email: {
    ...frame,
    email: 'ann@example.com',
    isConfirmed: true,
    canSend: true,
    isFresh: true,
    sign_in: '/',
    pending: {
      email: `ann.${'archer'.repeat(8)}@example.org`,
      old: 'ann@example.com',
      isNewConfirmed: true,
      isOldConfirmed: false,
      expiresAt: then,
    },
    mistakes: [{ field: 'code', text: 'The code is wrong, or was used before.' }],
  },
  account_password: { ...frame, min_length: 8, mistakes: [{ field: 'currentPassword', text: 'This is not your password.' }] },
}

const render = <Name extends PageName>(name: Name, options: PageOptions): Page => pages.render(name, samples[name], options)

interface Violation {
  id: string
  nodes: { target: unknown; failureSummary?: string }[]
}

describe('pages in Chromium', needs('chromium'), () => {
  let browser: Browser
  let server: Server
  let site: string
  before(async () => {
    server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
      const file = [pages.stylesheet, ...Object.values(pages.scripts)].find(({ path }) => path === pathname)
      // Whoever posts stays where they are.
      if (request.method === 'POST') return response.writeHead(204).end()
      if (file) return response.setHeader('content-type', file.type).end(file.text)
      const name = pathname.slice(1) as PageName
      if (!(name in samples)) return response.writeHead(404).end()
      const page = render(name, { locales: [searchParams.get('ui_locales') ?? 'en'], pathPrefix: '', address: `/${name}` })
      return response.writeHead(200, page.headers).end(page.html)
    }).listen(0)
    site = `http://localhost:${(server.address() as AddressInfo).port}`
    browser = await openBrowser()
  })
  after(async () => {
    await browser?.close()
    server.closeAllConnections()
    server.close()
  })

  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  for (const colorScheme of ['light', 'dark'] as const)
    for (const [width, locale] of [
      [360, 'de'],
      [1280, 'en'],
    ] as const)
      test(`${colorScheme}, ${width} px wide, ${locale}: axe-core finds nothing, and nothing is cut off`, async () => {
        const { context, complaints } = await openContext(browser, {
          javaScript: true,
          origins: [site],
          colorScheme,
          viewport: { width, height: 740 },
        })
        const page = await context.newPage()
        // Or the page would be gone before it is looked at.
        await page.route(`${site}${pages.scripts.form_post.path}`, (route) => route.fulfill({ contentType: 'text/javascript', body: '' }))
        for (const name of Object.keys(samples)) {
          await page.goto(`${site}/${name}?ui_locales=${locale}`)
          await page.evaluate(axe)
          const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run()')
          const found = violations.map(({ id, nodes }) => ({
            id,
            at: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`),
          }))
          assert.deepEqual(found, [], name)
          assert.equal(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), false, `${name} is too wide`)
        }
        assert.deepEqual(complaints, [])
        await context.close()
      })

  test('the form for the client is posted by itself, and by its button where no scripts run', async () => {
    for (const javaScript of [true, false]) {
      const { context, complaints } = await openContext(browser, { javaScript, origins: [site] })
      const page = await context.newPage()
      const posted = page.waitForRequest((request) => request.method() === 'POST')
      await page.goto(`${site}/form_post`, { waitUntil: 'commit' })
      if (!javaScript) await page.getByRole('button').click()
      assert.equal((await posted).postData(), 'code=x&state=y')
      assert.deepEqual(complaints, [])
      await context.close()
    }
  })
})

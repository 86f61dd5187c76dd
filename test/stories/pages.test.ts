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
const frame = { person: { username: 'ann', name: 'Ann Archer' }, token: 'x' }
const client = { name: 'Harbour Wiki', logo_uri: '', policy_uri: 'https://wiki.example/privacy', tos_uri: 'https://wiki.example/terms' }
const stage = { action: '/', attempt: 'x', fields: [], mistakes: [], client, canDecline: true, scopes: [] }
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
const mistakes = [{ field: 'password', text: 'The name or the password is wrong.' }]
const then = new Date('2026-11-23T12:00:00Z')

/** Each page, as full as it gets. */
const samples: { [Name in PageName]: PageVariables[Name] } = {
  identification: { ...stage, stage: 'identification', fields: [username] },
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
  logout_confirm: { ...form, client },
  logged_out: { client },
  applications: {
    ...frame,
    applications: [
      { name: 'Harbour Wiki', description: 'What we know, written down.', url: 'https://wiki.example/', initial: 'H' },
      { name: 'Mail', url: 'https://mail.example/', initial: 'M' },
    ],
  },
  account: { ...frame, email: 'ann@example.com', groups: ['staff', 'harbour'], signedInAt: then },
  account_sessions: {
    ...frame,
    notice: 'notice.session_ended',
    next: 'more',
    sessions: [
      { uid: 'a', device: 'Firefox, Linux', network: '192.0.2.7', createdAt: then, lastUsedAt: then, isCurrent: true },
      { uid: 'b', network: '2001:db8::17', createdAt: then, lastUsedAt: then, isCurrent: false },
    ],
  },
  account_consents: { ...frame, consents: [{ id: 'a', client: 'Harbour Wiki', scopes: ['know who you are'], createdAt: then }] },
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
      if (pathname === pages.stylesheet.path) return response.setHeader('content-type', 'text/css').end(pages.stylesheet.css)
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
})

/** What holds behind every proxy that asks the outpost: told to each of them, in Chromium and over the wire. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { openBrowser, openContext } from './browser.ts'
import { type FrontProxy, type RunningProxy, startFrontProxy } from './front_proxy.ts'
import { type Asking, ask, startUpstream, type Told, type Upstream } from './guarded.ts'
import { needs } from './needs.ts'
import { freePort } from './postgres.ts'
import { lines, raw, statuses } from './raw.ts'
import { type Signet, startSignet, until } from './signet.ts'

const password = 'correct horse battery'
const deepLink = '/page/one?x=1&y=a%26b,c&z=%C3%A4'

/** Every way to write a name so that some server takes it for one that we tell. */
const spoofs = [
  'X-Signet-Username',
  'x-signet-username',
  'X-SIGNET-EMAIL',
  'X-Signet-Name',
  'X-Signet-Groups',
  'X-Signet-Uid',
  'X-Signet-Entitlements',
  'X-Signet-Jwt',
  'Remote-User',
  'Remote-Groups',
  'remote-email',
  'Remote-Name',
  'X_Signet_Username',
  'x_signet_groups',
  'X-Signet_Uid',
  'X_SIGNET-JWT',
  'Remote_User',
  'remote_groups',
  'X-Department',
  'x-department',
  'X_Department',
  'x.department',
  'X-DEPARTMENT',
]

export const tellForwardStory = (front: FrontProxy): void => {
  describe(`applications behind ${front.name}`, needs(front.name, 'chromium'), () => {
    let signet: Signet
    let upstream: Upstream
    let proxy: RunningProxy
    let browser: Browser
    const hosts = { wiki: 'wiki.localhost', one: 'one.apps.localhost', two: 'two.apps.localhost' }
    type Name = keyof typeof hosts
    const host = (name: Name) => `${hosts[name]}:${proxy.port}`
    const at = (name: Name, path = '/') => `http://${host(name)}${path}`

    before(async () => {
      signet = await startSignet({ settings: { TRUSTED_PROXIES: '127.0.0.1' } })
      upstream = await startUpstream()
      const port = await freePort()
      const application = (name: Name, proxied: string, access = '') => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default }
spec:
  displayName: The ${name}
  authServerRef: { name: default }
  proxy: { externalUrl: 'http://${hosts[name]}:${port}', ${proxied} }
${access}
---`
      for (const [username, name] of [
        ['anna', 'Änna Ö'],
        ['bert', 'Bert'],
        ['carl', 'Carl'],
      ] as const) {
        const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, name, email: `${username}@example.com` })
        await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
      }
      await signet.api('POST', '/api/v1/groups', { name: 'readers', members: ['anna'] })
      await signet.apply(
        `
apiVersion: signet.dev/v1alpha1
kind: ClaimMapper
metadata: { name: departments, namespace: default }
spec:
  authServerRef: { name: default }
  claims: [{ name: department, value: '"friends of " + user.username' }]
---` +
          application(
            'wiki',
            "mode: forward_single, publicPaths: ['/health'], headers: { remoteUser: true, jwt: true, claims: [{ header: X-Department, claim: department }] }",
            '  access: { groups: [readers] }',
          ) +
          application('one', "mode: forward_domain, cookieDomain: apps.localhost, publicPaths: ['/health']") +
          application('two', 'mode: forward_domain, cookieDomain: apps.localhost', '  access: { groups: [readers] }'),
      )
      proxy = await startFrontProxy(front, { hosts: Object.values(hosts), port, signetPort: signet.port, upstreamPort: upstream.port })
      browser = await openBrowser()
    })
    after(async () => {
      await browser?.close()
      await proxy?.stop()
      await upstream?.stop()
      await signet?.stop()
    })

    const inBrowser = async (run: (page: Page, context: BrowserContext) => Promise<void>, expects = /^$/): Promise<void> => {
      const { context, complaints } = await openContext(browser, {
        javaScript: true,
        origins: [signet.issuer, ...(Object.keys(hosts) as Name[]).map((name) => new URL(at(name)).origin)],
      })
      try {
        await run(await context.newPage(), context)
        assert.deepEqual(
          complaints.filter((complaint) => !expects.test(complaint)),
          [],
          proxy.output(),
        )
      } finally {
        await context.close()
      }
    }

    const submit = (page: Page) => page.click('form[method=post] button.first[type=submit]')
    const isAtSignIn = (url: URL) => url.origin === signet.issuer
    /** Goes there, and proves who they are where that is asked. */
    const signIn = async (page: Page, address: string, username: string): Promise<void> => {
      await page.goto(address)
      assert.ok(isAtSignIn(new URL(page.url())), `${page.url()}\n${await page.content()}\n${proxy.output()}`)
      await page.fill('[name=username]', username)
      await submit(page)
      await page.fill('[name=password]', password)
      await submit(page)
      await page.waitForURL((url) => !isAtSignIn(url))
    }
    const told = async (page: Page) => JSON.parse((await page.textContent('pre')) ?? '') as Told
    const cookiesOf = async (context: BrowserContext, address: string): Promise<Record<string, string>> => ({
      cookie: (await context.cookies(address)).map(({ name, value }) => `${name}=${value}`).join('; '),
    })
    const send = (name: Name, path: string, asking?: Asking) => ask(proxy.port, host(name), path, asking)
    const heading = (page: Page) => page.textContent('main h1')

    it('lead to the sign-in and back to where the person wanted, and are told who came', () =>
      inBrowser(async (page, context) => {
        await signIn(page, at('wiki', deepLink), 'anna')
        assert.equal(page.url(), at('wiki', deepLink))
        const { url, method, headers } = await told(page)
        assert.equal(url, deepLink)
        assert.equal(method, 'GET')
        assert.equal(headers['x-signet-username'], 'anna')
        assert.equal(Buffer.from(String(headers['x-signet-name']), 'latin1').toString(), 'Änna Ö')
        assert.equal(headers['x-signet-email'], 'anna@example.com')
        assert.equal(headers['x-signet-groups'], 'readers')
        assert.match(String(headers['x-signet-uid']), /^[0-9a-f-]{36}$/)
        assert.equal(headers['remote-user'], 'anna')
        assert.equal(headers['x-department'], 'friends of anna')
        assert.match(String(headers['x-signet-jwt']), /^[\w-]+\.[\w-]+\.[\w-]+$/)
        assert.equal(headers.host, host('wiki'))

        const sent = await send('wiki', deepLink, { method: 'POST', body: 'a body', headers: await cookiesOf(context, at('wiki')) })
        assert.equal(sent.status, 200)
        const posted = JSON.parse(sent.body) as Told
        assert.equal(posted.method, 'POST')
        assert.equal(posted.headers['content-length'], '6')
        assert.equal(posted.headers['x-signet-username'], 'anna')
      }))

    it('never hear a name that came from outside', () =>
      inBrowser(async (page, context) => {
        await signIn(page, at('wiki'), 'anna')
        const cookies = await cookiesOf(context, at('wiki'))
        const spoofed = Object.fromEntries(spoofs.map((name) => [name, 'spoofed']))
        for (const [path, headers] of [
          ['/page', cookies],
          ['/health', cookies],
          ['/health', {}],
        ] as const) {
          for (const set of [spoofed, ...spoofs.map((name) => ({ [name]: 'spoofed' }))]) {
            const { status, body } = await send('wiki', path, { headers: { ...headers, ...set } })
            assert.equal(status, 200, `${path} ${body} ${proxy.output()}`)
            const { raw } = JSON.parse(body) as Told
            assert.ok(!raw.includes('spoofed'), `${path}: ${raw.join(' ')}`)
          }
          const { headers: heard } = JSON.parse((await send('wiki', path, { headers: { ...headers, ...spoofed } })).body) as Told
          assert.equal(heard['x-signet-username'] || undefined, 'cookie' in headers ? 'anna' : undefined)
          assert.equal(heard['x-department'] || undefined, 'cookie' in headers ? 'friends of anna' : undefined)
        }
      }))

    it('can not be reached by what the browser says of the address it asks for', async () => {
      for (const headers of [
        { 'X-Forwarded-Uri': '/health' },
        { 'X-Forwarded-Host': host('one'), 'X-Forwarded-Uri': '/health' },
        { 'X-Original-URL': at('wiki', '/health') },
        { 'X-Original-URI': '/health' },
        { 'X-Forwarded-Prefix': '/health', 'X-Rewrite-URL': '/health' },
      ]) {
        const { status, headers: told } = await send('wiki', '/page', { headers: { ...headers, accept: 'application/json' } })
        assert.equal(status, 401, JSON.stringify(headers))
        assert.match(String(told['www-authenticate']), /^Bearer realm=/)
      }
      for (const path of ['/health/../page', '/health/%2e%2e/page', '//health', '/health/', '/health;x', '/health%2f..%2fpage'])
        assert.notEqual((await send('wiki', path, { headers: { accept: 'application/json' } })).status, 200, path)
    })

    it('can not be reached by a request that names two hosts', async () => {
      assert.equal((await send('one', '/health')).status, 200)
      for (const [target, named] of [
        [at('two', '/health'), host('one')],
        [at('two', '/health'), `${host('one')}\r\nHost: ${host('two')}`],
        [at('two', '/health'), `${host('two')}\r\nHost: ${host('one')}`],
        ['/health', `${host('two')}\r\nHost: ${host('one')}`],
        ['/health', `${host('one')}\r\nHost: ${host('two')}`],
      ] as const) {
        const answer = await raw(
          proxy.port,
          lines(`GET ${target} HTTP/1.1`, `Host: ${named}`, 'Accept: application/json', 'Connection: close'),
        )
        assert.ok(
          statuses(answer).every((status) => status >= 400),
          `${target} ${named}: ${answer}`,
        )
      }
    })

    it('tell a script 401, and a person on the way to them a redirect', async () => {
      const script = await send('wiki', '/api', { headers: { accept: 'application/json', 'sec-fetch-mode': 'cors' } })
      assert.equal(script.status, 401)
      const person = await send('wiki', deepLink, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } })
      assert.equal(person.status, 302)
      const start = new URL(person.headers.location ?? '')
      assert.equal(`${start.origin}${start.pathname}`, at('wiki', '/outpost.signet/start'))
      assert.equal(start.searchParams.get('rd'), at('wiki', deepLink))
    })

    it('take a program by its token, which ends there, and hear what else is meant for them', async () => {
      const { token } = (
        await signet.api<{ token: string }>('POST', '/api/v1/tokens', {
          name: 'app',
          user: 'anna',
          scope: { kinds: ['applications'], namespaces: ['default'], verbs: ['use'] },
        })
      ).body
      for (const authorization of [`Bearer ${token}`, `Basic ${Buffer.from(`anna:${token}`).toString('base64')}`]) {
        const { status, body } = await send('wiki', '/api', { headers: { authorization } })
        assert.equal(status, 200, body)
        const { headers } = JSON.parse(body) as Told
        assert.equal(headers['x-signet-username'], 'anna')
        assert.equal(headers.authorization || undefined, undefined)
      }
      const own = await send('wiki', '/health', { headers: { authorization: 'Bearer of-the-application' } })
      assert.equal((JSON.parse(own.body) as Told).headers.authorization, 'Bearer of-the-application')
      const other = await send('wiki', '/api', { headers: { authorization: `Bearer ${token}x`, accept: 'application/json' } })
      assert.equal(other.status, 401)
    })

    it('are closed to whom their rule does not name, who sees a page', () =>
      inBrowser(async (page, context) => {
        await signIn(page, at('wiki', deepLink), 'bert')
        assert.equal(await heading(page), 'You may not use this application')
        assert.equal((await send('wiki', '/', { headers: await cookiesOf(context, at('wiki')) })).status, 302)
        // They may go on as someone else.
        await page.click('main a.button')
        await page.waitForURL(isAtSignIn)
        await submit(page)
        await page.waitForURL(at('wiki', '/outpost.signet/sign_out?state=signed_out'))
        await signIn(page, at('wiki', deepLink), 'anna')
        assert.equal((await told(page)).headers['x-signet-username'], 'anna')
      }, /status of 403/))

    it('under one domain take one sign-in, and each keeps its own rule', async () => {
      await inBrowser(async (page) => {
        await signIn(page, at('one', deepLink), 'anna')
        assert.equal(page.url(), at('one', deepLink))
        await page.goto(at('two', deepLink))
        assert.equal(page.url(), at('two', deepLink))
        const { headers } = await told(page)
        assert.equal(headers['x-signet-username'], 'anna')
        assert.equal(headers['remote-user'] || undefined, undefined)
        assert.equal(headers['x-department'] || undefined, undefined)
        assert.equal(headers.host, host('two'))
      })
      await inBrowser(async (page) => {
        await signIn(page, at('one'), 'bert')
        assert.equal((await told(page)).headers['x-signet-username'], 'bert')
        const answer = await page.goto(at('two', deepLink))
        assert.equal(answer?.status(), 403)
        assert.equal(page.url(), at('two', deepLink))
        assert.equal(await heading(page), 'You may not use this application')
        assert.match((await page.textContent('.brand')) ?? '', /The two/)
        const styled = await page.evaluate('getComputedStyle(document.querySelector("main")).maxWidth')
        assert.notEqual(styled, 'none', 'the page has its style')
      }, /status of 403/)
    })

    it('are told of someone in hundreds of groups', async () => {
      const names = Array.from({ length: 400 }, () => randomBytes(9).toString('hex').slice(0, 12))
      for (let at = 0; at < names.length; at += 50)
        await Promise.all(names.slice(at, at + 50).map((group) => signet.api('POST', '/api/v1/groups', { name: group, members: ['carl'] })))
      await inBrowser(async (page, context) => {
        await signIn(page, at('one', deepLink), 'carl')
        assert.equal(page.url(), at('one', deepLink))
        assert.deepEqual(String((await told(page)).headers['x-signet-groups']).split('|'), names.toSorted())
        const cookies = await context.cookies(at('one'))
        assert.ok(cookies.filter(({ name }) => name.startsWith('signet_outpost_')).length > 1, 'the sign-in takes more than one cookie')
      })
    })

    for (const [where, name, asks] of [
      ['there and at Signet', 'one', false],
      ['wherever under the domain it is, once the person has agreed', 'two', true],
    ] as const)
      it(`end with the sign-out, ${where}`, () =>
        inBrowser(async (page, context) => {
          await signIn(page, at('one'), 'anna')
          const before = await cookiesOf(context, at('one'))
          assert.equal((await send('one', '/', { headers: before })).status, 200)
          await page.goto(at(name, '/outpost.signet/sign_out'))
          if (asks) {
            assert.equal(await heading(page), 'Sign out?')
            await submit(page)
            await page.waitForURL((url) => !isAtSignIn(url))
          }
          assert.equal(await heading(page), 'You are signed out')
          assert.equal(new URL(page.url()).host, host(name))
          assert.equal((await page.request.get(`${signet.issuer}/api/v1/me`)).status(), 401)
          await page.click('main a.button')
          await page.waitForURL(isAtSignIn)
          await page.goto(at('one'))
          await page.waitForURL(isAtSignIn)
          await until(async () => (await send('one', '/', { headers: before })).status !== 200, {
            withinMs: 2_000,
            explain: () => 'a cookie that was copied is still good',
          })
          // The browser may ask for the picture of the application's page only when nobody is signed in any more.
        }, /status of 401 .*favicon\.ico/))

    it('are closed while Signet is away', () =>
      inBrowser(async (page, context) => {
        await signIn(page, at('wiki'), 'anna')
        const headers = await cookiesOf(context, at('wiki'))
        assert.equal((await send('wiki', '/page', { headers })).status, 200)
        await signet.kill('SIGKILL')
        const asked = upstream.last()
        for (const path of ['/page', '/health']) {
          const { status } = await send('wiki', path, { headers })
          assert.ok(status >= 500, `${path} ${status}`)
        }
        assert.equal(upstream.last(), asked)
        // The browser may ask for the picture of the page only now, and is told the same.
      }, /status of 50[023] .*favicon\.ico/))
  })
}

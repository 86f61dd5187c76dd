/**
 * Proxies that are not at hand, by what goes over the wire: each asks as its own documentation says it does, set up by the very configuration of
 * its guide, and does with the answer what it would.
 */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { ask, type Guest, openGuest, page, signIn } from '../support/guarded.ts'
import { blocksOf, guideText } from '../support/guide.ts'
import { type Signet, startSignet } from '../support/signet.ts'

const password = 'correct horse battery'
const deepLink = '/page/one?x=1&y=a%26b,c&z=%C3%A4'

interface Sent {
  method: string
  host: string
  path: string
  headers: Record<string, string>
}

/** To the application, with these headers; or to the browser. */
type Outcome =
  | { kind: 'passed'; headers: Record<string, string> }
  | { kind: 'answered'; status: number; headers: IncomingHttpHeaders; body: string }

type Proxy = (signetPort: number, sent: Sent) => Promise<Outcome>

const one = (value: string | string[] | undefined): string => [value].flat().join(', ')
const lowered = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/** Go's net/http: X_signet_username, X-Signet-Username. */
const canonical = (name: string) => name.toLowerCase().replace(/(^|-)[a-z]/g, (text) => text.toUpperCase())

const traefik: Proxy = async (port, { method, host, path, headers }) => {
  const [whole = '', more = ''] = blocksOf('outposts/traefik', 'yaml')
  const forwardAuth = { ...parse(whole).http.middlewares.signet.forwardAuth, ...parse(more) }
  assert.equal(forwardAuth.trustForwardHeader, false)
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [canonical(name), value]))
  const address = new URL(forwardAuth.address)
  // Asks by GET, for its own host, with every header, of which these are set anew.
  const answer = await ask(port, address.host, address.pathname, {
    headers: {
      ...sent,
      'X-Forwarded-Method': method,
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': host,
      'X-Forwarded-Uri': path,
      'X-Forwarded-For': '203.0.113.9',
    },
  })
  if (answer.status < 200 || answer.status > 299) return { kind: 'answered', ...answer }
  const { 1: flags = '', 2: source = '' } = /^(?:\(\?(i)\))?(.*)$/.exec(forwardAuth.authResponseHeadersRegex) ?? []
  const copied = new RegExp(source, flags)
  const kept = Object.entries(sent).filter(([name]) => !copied.test(name))
  const told = Object.entries(answer.headers).filter(([name]) => copied.test(canonical(name)))
  return { kind: 'passed', headers: lowered(Object.fromEntries([...kept, ...told.map(([name, value]) => [name, one(value)])])) }
}

const envoy: Proxy = async (port, { method, host, path, headers }) => {
  const [whole = '', more = ''] = blocksOf('outposts/envoy', 'yaml')
  const { http_filters, common_http_protocol_options } = parse(whole)
  const { allowed_headers, failure_mode_allow, http_service } = http_filters[0].typed_config
  assert.equal(failure_mode_allow, false)
  assert.equal(common_http_protocol_options.headers_with_underscores_action, 'REJECT_REQUEST')
  const sent: Record<string, string> = { ...lowered(headers), 'x-forwarded-proto': 'http', 'x-forwarded-for': '203.0.113.9' }
  if (Object.keys(sent).some((name) => name.includes('_'))) return { kind: 'answered', status: 400, headers: {}, body: '' }
  const matches = (patterns: { exact?: string; prefix?: string }[], name: string) =>
    patterns.some(({ exact, prefix }) => name === exact || (prefix !== undefined && name.startsWith(prefix)))
  // Asks by the method of the request, without its body, and with no header but these and Authorization.
  const asked = Object.entries(sent).filter(([name]) => name === 'authorization' || matches(allowed_headers.patterns, name))
  const answer = await ask(port, host, `${http_service.path_prefix}${path}`, {
    method,
    headers: { ...Object.fromEntries(asked), 'content-length': '0' },
  })
  if (answer.status !== 200) return { kind: 'answered', ...answer }
  const { patterns } = http_service.authorization_response.allowed_upstream_headers
  const told = Object.entries(answer.headers).filter(([name]) => matches([...patterns, ...parse(more)], name))
  return { kind: 'passed', headers: { ...sent, ...Object.fromEntries(told.map(([name, value]) => [name, one(value)])) } }
}

const ingressNginx: Proxy = async (port, { method, host, path, headers }) => {
  const documents = parseAllDocuments(blocksOf('outposts/kubernetes', 'yaml')[0] ?? '')
  const [document] = documents
  if (!document) throw new Error('the guide has no Ingress')
  const { annotations } = document.toJS().metadata
  const annotation = (name: string): string => annotations[`nginx.ingress.kubernetes.io/${name}`]
  // nginx drops names with underscores and dots.
  const sent = Object.fromEntries(Object.entries(lowered(headers)).filter(([name]) => /^[a-z0-9-]+$/.test(name)))
  const address = new URL(annotation('auth-url'))
  const added = documents
    .map((each) => each.toJS())
    .find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === annotation('auth-proxy-set-headers'))?.data
  assert.deepEqual(added, { 'X-Original-Host': '$host' })
  const answer = await ask(port, address.host, address.pathname, {
    headers: {
      ...sent,
      'X-Original-URL': `http://${host}${path}`,
      'X-Original-Host': new URL(`http://${host}`).hostname,
      'X-Original-Method': method,
      'X-Sent-From': 'nginx-ingress-controller',
      'X-Auth-Request-Redirect': path,
      'X-Forwarded-For': '203.0.113.9',
    },
  })
  if (answer.status === 401) {
    // Without a parameter of its own, `rd` is added: scheme and host as they are, the rest encoded.
    const location = `${annotation('auth-signin').replace('https://$host', `http://${host}`)}?rd=http://${host}${encodeURIComponent(path)}`
    return { kind: 'answered', status: 302, headers: { location }, body: '' }
  }
  if (answer.status < 200 || answer.status > 299)
    return { kind: 'answered', status: answer.status === 403 ? 403 : 500, headers: {}, body: '' }
  const passed: Record<string, string> = { ...sent }
  const [more = ''] = /`,X-Department`/.exec(guideText('outposts/kubernetes')) ?? []
  for (const name of `${annotation('auth-response-headers')}${more.replaceAll('`', '')}`.split(',').map((text) => text.toLowerCase())) {
    const value = one(answer.headers[name])
    if (value === '') delete passed[name]
    else passed[name] = value
  }
  return { kind: 'passed', headers: passed }
}

const proxies: Record<string, { proxy: Proxy; tellsScripts: boolean; showsPages: boolean; readsAlike: string[] }> = {
  traefik: { proxy: traefik, tellsScripts: true, showsPages: true, readsAlike: ['_', '.', '~'] },
  // The others its guide warns of.
  envoy: { proxy: envoy, tellsScripts: true, showsPages: true, readsAlike: ['_'] },
  'ingress-nginx': { proxy: ingressNginx, tellsScripts: false, showsPages: false, readsAlike: ['_', '.', '~'] },
}

const told = [
  ...['Username', 'Email', 'Name', 'Groups', 'Uid', 'Entitlements', 'Jwt'].map((name) => `X-Signet-${name}`),
  ...['User', 'Groups', 'Email', 'Name'].map((name) => `Remote-${name}`),
  'X-Department',
]

describe('proxies by their contracts', () => {
  let signet: Signet
  const at = (name: string) => `${name}.localhost:${signet.port}`

  before(async () => {
    signet = await startSignet({ settings: { TRUSTED_PROXIES: '127.0.0.1' } })
    for (const username of ['anna', 'bert']) {
      const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, email: `${username}@example.com` })
      await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    }
    await signet.api('POST', '/api/v1/groups', { name: 'readers', members: ['anna'] })
    const application = (name: string, address: string, proxied: string, access = '') => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default }
spec:
  displayName: The ${name}
  authServerRef: { name: default }
  proxy: { externalUrl: 'http://${address}', ${proxied} }
${access}
---`
    const readers = '  access: { groups: [readers] }'
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
          at('wiki'),
          "mode: forward_single, publicPaths: ['/health'], headers: { remoteUser: true, jwt: true, claims: [{ header: X-Department, claim: department }] }",
        ) +
        application('one', at('one.apps'), 'mode: forward_domain, cookieDomain: apps.localhost') +
        application('two', at('two.apps'), 'mode: forward_domain, cookieDomain: apps.localhost', readers) +
        application('open', at('shared.apps'), 'mode: forward_domain, cookieDomain: apps.localhost') +
        application('closed', `${at('shared.apps')}/closed`, 'mode: forward_domain, cookieDomain: apps.localhost', readers),
    )
  })
  after(() => signet?.stop())

  for (const [name, { proxy, tellsScripts, showsPages, readsAlike }] of Object.entries(proxies))
    describe(name, () => {
      const send = (guest: Guest, host: string, path: string, headers: Record<string, string> = page, method = 'GET') => {
        const cookie = guest.cookies(host, path)
        return proxy(signet.port, { method, host, path, headers: { ...headers, ...(cookie ? { cookie } : {}) } })
      }
      const enter = async (guest: Guest, host: string, path: string, username: string): Promise<string> => {
        const outcome = await send(guest, host, path)
        assert.ok(outcome.kind === 'answered' && outcome.status === 302, JSON.stringify(outcome))
        const location = outcome.headers.location ?? ''
        assert.ok(location.startsWith(`http://${host}/outpost.signet/start?rd=`), location)
        return signIn(signet, guest, { host, start: location.slice(`http://${host}`.length), answers: { username, password } })
      }
      const heard = (outcome: Outcome): Record<string, string> => {
        assert.ok(outcome.kind === 'passed', JSON.stringify(outcome))
        return outcome.headers
      }

      it('leads to the sign-in and back to the deep link, and tells the application who came', async () => {
        const guest = openGuest(signet.port)
        assert.equal(await enter(guest, at('wiki'), deepLink, 'anna'), `http://${at('wiki')}${deepLink}`)
        for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
          const headers = heard(await send(guest, at('wiki'), deepLink, page, method))
          assert.equal(headers['x-signet-username'], 'anna', method)
          assert.equal(headers['x-signet-groups'], 'readers')
          assert.equal(headers['remote-user'], 'anna')
          assert.equal(headers['x-department'], 'friends of anna')
          assert.match(headers['x-signet-jwt'] ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
        }
      })

      it('lets no name from outside pass, whether someone is signed in or not', async () => {
        const guest = openGuest(signet.port)
        await enter(guest, at('wiki'), '/', 'anna')
        await enter(guest, at('one.apps'), '/', 'anna')
        const names = ['-', ...readsAlike].flatMap((sign) =>
          told.flatMap((text) => [text, text.toLowerCase()]).map((text) => text.replaceAll('-', sign)),
        )
        for (const [who, host, path] of [
          [guest, at('wiki'), '/page'],
          [guest, at('one.apps'), '/page'],
          [guest, at('wiki'), '/health'],
          [openGuest(signet.port), at('wiki'), '/health'],
        ] as const)
          for (const spoofed of names) {
            const outcome = await send(who, host, path, { ...page, [spoofed]: 'spoofed' })
            if (outcome.kind === 'passed') assert.ok(!Object.values(outcome.headers).includes('spoofed'), `${path} ${spoofed}`)
            else assert.equal(outcome.status, 400, `${path} ${spoofed}`)
          }
      })

      it('takes a program by its token, which ends there, and hands on what else is meant for the application', async () => {
        const { token } = (
          await signet.api<{ token: string }>('POST', '/api/v1/tokens', {
            name,
            user: 'anna',
            scope: { kinds: ['applications'], namespaces: ['default'], verbs: ['use'] },
          })
        ).body
        const nobody = openGuest(signet.port)
        const headers = heard(await send(nobody, at('wiki'), '/api', { authorization: `Bearer ${token}` }))
        assert.equal(headers['x-signet-username'], 'anna')
        assert.equal(headers.authorization || undefined, undefined)
        const own = heard(await send(nobody, at('wiki'), '/health', { authorization: 'Bearer of-the-application' }))
        assert.equal(own.authorization, 'Bearer of-the-application')
      })

      it('judges the request that it has, not one that headers of the browser tell of', async () => {
        const guest = openGuest(signet.port)
        for (const headers of [
          { 'X-Forwarded-Uri': '/health', 'X-Forwarded-Method': 'GET' },
          { 'X-Forwarded-Host': at('one.apps') },
          { 'X-Original-URL': `http://${at('wiki')}/health`, 'X-Original-Method': 'GET' },
          { Host: at('one.apps') },
        ]) {
          const outcome = await send(guest, at('wiki'), '/page', { ...page, ...(headers as Record<string, string>) })
          assert.equal(outcome.kind, 'answered', JSON.stringify(headers))
        }
      })

      it(`${tellsScripts ? 'tells a script 401' : 'leads a script to the sign-in'}, and is closed to whom a rule does not name`, async () => {
        const guest = openGuest(signet.port)
        const script = await send(guest, at('wiki'), '/api', { accept: 'application/json', 'sec-fetch-mode': 'cors' })
        assert.ok(script.kind === 'answered' && script.status === (tellsScripts ? 401 : 302), JSON.stringify(script))

        await enter(guest, at('one.apps'), '/', 'bert')
        assert.equal(heard(await send(guest, at('one.apps'), '/'))['x-signet-username'], 'bert')
        const refused = await send(guest, at('two.apps'), '/')
        assert.ok(refused.kind === 'answered' && refused.status === 403, JSON.stringify(refused))
        if (showsPages) assert.match(refused.body, /<h1>You may not use this application<\/h1>/)
        const call = await send(guest, at('two.apps'), '/', { accept: 'application/json' }, 'POST')
        assert.ok(call.kind === 'answered' && call.status === 403 && !call.body.includes('<'))
      })

      it('is told no of a path that belongs to another application by another reading', async () => {
        const guest = openGuest(signet.port)
        await enter(guest, at('shared.apps'), '/', 'bert')
        for (const path of ['/', '/a//b', '/a/../b', '/closedness', '/%61', '/a%2fb'])
          assert.equal((await send(guest, at('shared.apps'), path)).kind, 'passed', path)
        for (const path of [
          '/closed',
          '/closed/x',
          '//closed/x',
          '/a/../closed/x',
          '/%63losed/x',
          '/a/%2e%2e/closed',
          '/a/..;/closed',
          '/./closed',
          '/%zz',
        ]) {
          const outcome = await send(guest, at('shared.apps'), path)
          assert.ok(outcome.kind === 'answered' && outcome.status === 403, `${path} ${JSON.stringify(outcome)}`)
        }
      })
    })
})

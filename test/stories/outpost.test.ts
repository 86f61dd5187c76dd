/** An application that knows nothing of sign-in, behind the outpost of the server. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, openGuest, signIn, startUpstream, type Told, type Upstream } from '../support/guarded.ts'
import { newVisitor } from '../support/http.ts'
import { runSignet, type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'

const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

describe('applications behind the outpost of the server', () => {
  let signet: Signet
  let upstream: Upstream
  const people: Record<string, string> = {}
  const at = (name: string) => `${name}.localhost:${signet.port}`

  const application = (name: string, proxy: string, more = '') => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default, labels: { team: a } }
spec:
  displayName: ${name}
  authServerRef: { name: default }
  proxy:
    externalUrl: http://${at(name)}
${proxy.replace(/^/gm, '    ')}
${more.replace(/^/gm, '  ')}
---`

  before(async () => {
    signet = await startSignet()
    upstream = await startUpstream()
    for (const username of ['anna', 'bert']) {
      const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
        username,
        name: username === 'anna' ? 'Änna Ö' : 'Bert',
        email: `${username}@example.com`,
        emailVerified: true,
      })
      people[username] = made.body.id
      await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    }
    await signet.api('POST', '/api/v1/groups', { name: 'readers', members: ['anna'] })
    await signet.apply(
      application(
        'wiki',
        `mode: proxy\nupstreamUrl: http://127.0.0.1:${upstream.port}/base\npublicPaths: ['/health', '/static/.*']\nheaders: { remoteUser: true, jwt: true }`,
        'access: { groups: [readers] }',
      ) +
        application('plain', 'mode: forward_single') +
        application('broken', `mode: proxy\nupstreamUrl: http://127.0.0.1:${upstream.port}\npublicPaths: ['/ok', '(']`),
    )
  })
  after(async () => {
    await signet?.stop()
    await upstream?.stop()
  })

  const told = (body: string) => JSON.parse(body) as Told

  test('whoever is not signed in is led to the sign-in and back to where they wanted, and the application is told who they are', async () => {
    const guest = openGuest(signet.port)
    const first = await guest.open(at('wiki'), '/page/one?x=1&y=2')
    assert.equal(first.status, 302)
    const start = new URL(first.headers.location ?? '')
    assert.equal(start.pathname, '/outpost.signet/start')
    const end = await signIn(signet, guest, {
      host: at('wiki'),
      start: `${start.pathname}${start.search}`,
      answers: { username: 'anna', password },
    })
    assert.equal(end, `http://${at('wiki')}/page/one?x=1&y=2`)
    const shown = await guest.open(at('wiki'), '/page/one?x=1&y=2', {
      headers: { 'X-Signet-Username': 'root', x_signet_groups: 'admins', 'Remote-User': 'root' },
    })
    assert.equal(shown.status, 200, shown.body)
    const { url, headers } = told(shown.body)
    assert.equal(url, '/base/page/one?x=1&y=2')
    assert.equal(headers['x-signet-username'], 'anna')
    assert.equal(Buffer.from(String(headers['x-signet-name']), 'latin1').toString(), 'Änna Ö')
    assert.equal(headers['x-signet-email'], 'anna@example.com')
    assert.equal(headers['x-signet-groups'], 'readers')
    assert.equal(headers['x-signet-uid'], people.anna)
    assert.equal(headers['remote-user'], 'anna')
    assert.equal(headers.x_signet_groups, undefined)
    assert.doesNotMatch(String(headers.cookie ?? ''), /signet_outpost/)
    const [, claims = ''] = String(headers['x-signet-jwt']).split('.')
    assert.equal(JSON.parse(Buffer.from(claims, 'base64url').toString()).sub, people.anna)
  })

  test('a script is told 401, a public path is open, and a closed application is closed', async () => {
    const script = await ask(signet.port, at('wiki'), '/api', { headers: { accept: 'application/json' } })
    assert.deepEqual([script.status, script.headers['www-authenticate']], [401, `Bearer realm="http://${at('wiki')}"`])
    const open = await ask(signet.port, at('wiki'), '/static/a.css', { headers: { 'x-signet-username': 'root' } })
    assert.equal(open.status, 200)
    assert.equal(told(open.body).headers['x-signet-username'], undefined)
    for (const path of [
      '/static/../admin',
      '/static/%2e%2e/admin',
      '/static/..%2fadmin',
      '/static//a',
      '/static/a;b',
      '/health/',
      '/healthy',
    ])
      assert.notEqual((await ask(signet.port, at('wiki'), path)).status, 200, path)
    assert.equal((await ask(signet.port, at('broken'), '/ok')).status, 403)
    const { body } = await signet.api<{ status: { conditions: { type: string; status: string; message: string }[] } }>(
      'GET',
      '/api/v1/namespaces/default/applications/broken',
    )
    const ready = body.status.conditions.find(({ type }) => type === 'Ready')
    assert.equal(ready?.status, 'False')
    assert.match(ready?.message ?? '', /publicPaths\[1\]/)
  })

  test('who may not use an application is refused, at the sign-in and later', async () => {
    const guest = openGuest(signet.port)
    await assert.rejects(
      signIn(signet, guest, { host: at('wiki'), start: '/outpost.signet/start', answers: { username: 'bert', password } }),
      /callback answered 403/,
    )
    await signet.api('PATCH', `/api/v1/groups/${await groupId()}`, { members: ['anna', 'bert'] })
    await signIn(signet, guest, { host: at('wiki'), start: '/outpost.signet/start', answers: { username: 'bert', password } })
    assert.equal((await guest.open(at('wiki'), '/')).status, 200)
    await signet.api('PATCH', `/api/v1/groups/${await groupId()}`, { members: ['anna'] })
    await until(async () => (await guest.open(at('wiki'), '/')).status === 403, { withinMs: 2_000 })
  })

  const groupId = async () =>
    (await signet.api<{ items: { id: string; name: string }[] }>('GET', '/api/v1/groups?q=readers')).body.items.find(
      ({ name }) => name === 'readers',
    )?.id ?? ''

  test('the end of a session ends it here within two seconds', async () => {
    const guest = openGuest(signet.port)
    await signIn(signet, guest, { host: at('wiki'), start: '/outpost.signet/start', answers: { username: 'anna', password } })
    assert.equal((await guest.open(at('wiki'), '/')).status, 200)
    const ended = await signet.api('DELETE', `/api/v1/users/${people.anna}/sessions`)
    assert.ok(ended.status < 300, ended.text)
    await until(async () => (await guest.open(at('wiki'), '/')).status === 302, { withinMs: 2_000 })
  })

  const traefik = (host: string, uri: string, more: Record<string, string> = {}) => ({
    'x-forwarded-proto': 'http',
    'x-forwarded-host': host,
    'x-forwarded-uri': uri,
    'x-forwarded-method': 'GET',
    ...more,
  })

  test('a proxy in front asks about each request', async () => {
    const guest = openGuest(signet.port)
    const first = await guest.open(at('plain'), '/outpost.signet/auth/traefik', { headers: traefik(at('plain'), '/a?b=c') })
    assert.equal(first.status, 302)
    const start = new URL(first.headers.location ?? '')
    assert.equal(start.searchParams.get('rd'), `http://${at('plain')}/a?b=c`)
    const end = await signIn(signet, guest, {
      host: at('plain'),
      start: `${start.pathname}${start.search}`,
      answers: { username: 'bert', password },
    })
    assert.equal(end, `http://${at('plain')}/a?b=c`)
    for (const [server, headers] of [
      ['traefik', traefik(at('plain'), '/a?b=c')],
      ['caddy', traefik(at('plain'), '/a?b=c')],
      ['nginx', { 'x-original-url': `http://${at('plain')}/a?b=c` }],
      ['envoy/a?b=c', {}],
    ] as const) {
      const passed = await guest.open(at('plain'), `/outpost.signet/auth/${server}`, { headers })
      assert.equal(passed.status, 200, server)
      assert.equal(passed.headers['x-signet-username'], 'bert', server)
      const stranger = await ask(signet.port, at('plain'), `/outpost.signet/auth/${server}`, {
        headers: { ...headers, accept: 'application/json' },
      })
      assert.equal(stranger.status, 401, server)
      assert.equal(stranger.headers['www-authenticate'], `Bearer realm="http://${at('plain')}"`, server)
      for (const [authorization, challenge] of [
        [`Bearer signet_${'x'.repeat(40)}`, `Bearer realm="http://${at('plain')}", error="invalid_token"`],
        ['Bearer nonsense', `Bearer realm="http://${at('plain')}", error="invalid_token"`],
        [basic('anna', 'nonsense'), `Bearer realm="http://${at('plain')}", Basic realm="http://${at('plain')}", charset="UTF-8"`],
      ] as const) {
        const wrong = await ask(signet.port, at('plain'), `/outpost.signet/auth/${server}`, { headers: { ...headers, authorization } })
        assert.deepEqual([wrong.status, wrong.headers['www-authenticate'], wrong.headers.location], [401, challenge, undefined], server)
      }
    }
    assert.equal((await guest.open(at('plain'), '/outpost.signet/auth/nginx')).status, 400)
    assert.equal((await guest.open(at('plain'), '/outpost.signet/auth/traefik', { headers: traefik('other.example', '/') })).status, 403)
    const out = await guest.open(at('plain'), '/outpost.signet/sign_out')
    assert.equal(out.status, 302)
    assert.match(out.headers.location ?? '', /end-session/)
    assert.equal((await guest.open(at('plain'), '/outpost.signet/auth/traefik', { headers: traefik(at('plain'), '/') })).status, 302)
  })

  test('signing out at an application asks nobody, unless another site led them there', async () => {
    const visitor = newVisitor(signet.issuer)
    const guest = openGuest(signet.port)
    const enter = (answers: Record<string, string>) =>
      signIn(signet, guest, { host: at('plain'), start: '/outpost.signet/start', answers, visitor })
    const leave = async (site: string) => {
      const out = await guest.open(at('plain'), '/outpost.signet/sign_out', { headers: { 'sec-fetch-site': site } })
      return await visitor.open(out.headers.location ?? '')
    }
    await enter({ username: 'anna', password })
    const led = await leave('cross-site')
    assert.match(led.text, /Sign out\?/)
    assert.equal(led.left, undefined)
    // The session at the AuthServer goes on.
    await enter({})
    for (const dest of ['image', 'iframe', 'style']) {
      const headers = { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': dest }
      const part = await guest.open(at('plain'), '/outpost.signet/sign_out', { headers })
      assert.deepEqual([part.status, part.headers['set-cookie']], [403, undefined], dest)
    }
    const left = await leave('same-origin')
    assert.equal(left.left?.href, `http://${at('plain')}/outpost.signet/sign_out?state=signed_out`)
    const shown = await guest.open(at('plain'), '/outpost.signet/sign_out?state=signed_out')
    assert.match(shown.body, /You are signed out/)
    await assert.rejects(enter({}), /ended at/)
  })

  test('a rule may read the request, which is asked about each', async () => {
    const rule = `"!request.path.lowerAscii().startsWith('/admin') && (request.method == 'GET' || 'readers' in user.groups)"`
    const ruled = (name: string, proxy: string) => application(name, proxy, `access: { when: ${rule} }`)
    await signet.apply(
      ruled('ruled', `mode: proxy\nupstreamUrl: http://127.0.0.1:${upstream.port}`) + ruled('ruled-forward', 'mode: forward_single'),
    )
    await until(async () => (await ask(signet.port, at('ruled-forward'), '/outpost.signet/ping')).status === 200)
    const [anna, bert] = [openGuest(signet.port), openGuest(signet.port)]
    for (const [guest, username] of [
      [anna, 'anna'],
      [bert, 'bert'],
    ] as const)
      for (const host of [at('ruled'), at('ruled-forward')])
        await signIn(signet, guest, { host, start: '/outpost.signet/start', answers: { username, password } })
    for (const [guest, method, path, status] of [
      [anna, 'GET', '/page', 200],
      [anna, 'POST', '/page', 200],
      [bert, 'GET', '/page', 200],
      [bert, 'POST', '/page', 403],
      [anna, 'GET', '/admin/x', 403],
      [anna, 'GET', '/ADMIN', 403],
      [anna, 'GET', '/%61dmin', 403],
      [anna, 'GET', '//admin', 403],
      [anna, 'GET', '/a/../admin', 400],
    ] as const) {
      assert.equal((await guest.open(at('ruled'), path, { method })).status, status, `${method} ${path}`)
      const headers = { ...traefik(at('ruled-forward'), path), 'x-forwarded-method': method }
      const asked = await guest.open(at('ruled-forward'), '/outpost.signet/auth/traefik', { headers })
      assert.equal(asked.status, status === 400 ? 403 : status, `${method} ${path} by a proxy`)
    }
    // A proxy that does not say the method.
    const { 'x-forwarded-method': _, ...silent } = traefik(at('ruled-forward'), '/page')
    assert.equal((await bert.open(at('ruled-forward'), '/outpost.signet/auth/traefik', { headers: silent })).status, 403)
    const explain = async (...args: string[]) =>
      (await runSignet(['explain', ...args, '--server', signet.issuer, '--token', signet.token])).code
    assert.deepEqual(
      [
        await explain('bert', 'ruled'),
        await explain('bert', 'ruled', '--path', '/page'),
        await explain('bert', 'ruled', '--path', '/page', '--method', 'post'),
        await explain('anna', 'ruled', '--path', '/%61dmin'),
      ],
      [0, 0, 1, 1],
    )
    const { status, body } = await signet.api<{ errors: { pointer: string }[] }>('PATCH', '/api/v1/namespaces/default/applications/ruled', {
      spec: { proxy: null, launchUrl: 'http://localhost:1/' },
    })
    assert.deepEqual([status, body.errors.map(({ pointer }) => pointer)], [422, ['/spec/access/when']])
  })

  test('who may use an application is explained, with the rule that says so', async () => {
    const explain = async (...args: string[]) => {
      const { code, stdout } = await runSignet(['explain', ...args, '--server', signet.issuer, '--token', signet.token])
      return { code, stdout }
    }
    assert.deepEqual(await explain('anna', 'wiki'), {
      code: 0,
      stdout: 'anna may use wiki by spec.access.groups (readers).\nGroups: readers.\n',
    })
    const refused = await explain('bert@example.com', 'default/wiki', '--path', '/page')
    assert.equal(refused.code, 1)
    assert.match(
      refused.stdout,
      /^bert may not use wiki by spec\.access: neither the person nor a group of theirs is named\.\nGroups: none/,
    )
    const open = await explain('bert', 'wiki', '--path', '/static/a.css')
    assert.equal(open.code, 0)
    assert.match(open.stdout, /public by spec\.proxy\.publicPaths\[1\]/)
    const closed = await signet.api<{ decision: string; isAllowed: boolean }>(
      'GET',
      '/api/v1/namespaces/default/applications/broken/explain?user=anna&path=/ok',
    )
    assert.deepEqual([closed.status, closed.body.decision, closed.body.isAllowed], [200, 'closed', false])
    assert.equal((await signet.api('GET', '/api/v1/namespaces/default/applications/wiki/explain?user=nobody')).status, 422)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/default/applications/other/explain?user=anna')).status, 404)
    assert.equal((await fetch(`${signet.issuer}/api/v1/namespaces/default/applications/wiki/explain?user=anna`)).status, 401)
  })

  test('a program comes with a token, as Bearer or as the password of its owner', async () => {
    const tokenOf = async (username: string, scope: object) =>
      (await signet.api<{ token: string }>('POST', '/api/v1/tokens', { name: `${username} app`, user: username, scope })).body.token
    const use = { kinds: ['applications'], namespaces: ['default'], verbs: ['use'] }
    const token = await tokenOf('anna', use)
    for (const authorization of [`Bearer ${token}`, basic('anna', token)]) {
      const answer = await ask(signet.port, at('wiki'), '/api', { headers: { authorization } })
      assert.equal(answer.status, 200, answer.body)
      assert.equal(told(answer.body).headers['x-signet-username'], 'anna')
      assert.equal(told(answer.body).headers.authorization, undefined)
    }
    // On a public path, and beside a sign-in, nobody needs the token: the application does not see it either.
    const open = await ask(signet.port, at('wiki'), '/static/a.css', { headers: { authorization: `Bearer ${token}` } })
    assert.deepEqual([open.status, told(open.body).headers.authorization], [200, undefined])
    const guest = openGuest(signet.port)
    await signIn(signet, guest, { host: at('wiki'), start: '/outpost.signet/start', answers: { username: 'anna', password } })
    const beside = await guest.open(at('wiki'), '/', { headers: { authorization: basic('anna', token) } })
    assert.deepEqual([beside.status, told(beside.body).headers.authorization], [200, undefined])
    const own = await guest.open(at('wiki'), '/', { headers: { authorization: 'Bearer of-the-application' } })
    assert.equal(told(own.body).headers.authorization, 'Bearer of-the-application')
    const api = { accept: 'application/json' }
    for (const authorization of [
      basic('bert', token),
      `Bearer ${token}x`,
      `Bearer ${await tokenOf('anna', { ...use, verbs: ['get'] })}`,
      `Bearer ${await tokenOf('anna', { ...use, namespaces: ['team-a'] })}`,
    ])
      assert.equal(
        (await ask(signet.port, at('wiki'), '/api', { headers: { ...api, authorization } })).status,
        401,
        authorization.slice(0, 6),
      )
    for (const authorization of [`Bearer ${token}x`, 'Bearer nonsense', basic('bert', token), basic('anna', 'nonsense')]) {
      const told = await ask(signet.port, at('wiki'), '/api', { headers: { authorization } })
      assert.equal(told.status, 401, authorization.slice(0, 6))
      assert.match(
        told.headers['www-authenticate'] ?? '',
        authorization.startsWith('Bearer') ? /^Bearer realm="[^"]+", error="invalid_token"$/ : /, Basic realm=/,
      )
      const navigating = { authorization, 'sec-fetch-mode': 'navigate', accept: 'text/html' }
      assert.equal((await ask(signet.port, at('wiki'), '/api', { headers: navigating })).status, 302, 'a person signs in')
    }
    assert.equal(
      (await ask(signet.port, at('wiki'), '/', { headers: { authorization: `Bearer ${await tokenOf('bert', use)}` } })).status,
      403,
    )
  })
})

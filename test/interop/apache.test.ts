/** Apache with Debian's mod_auth_openidc, told nothing but the discovery address and its credentials, guards a page. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { newVisitor, walk } from '../support/http.ts'
import { findProgram, needs } from '../support/needs.ts'
import { type ClientCredentials, clientManifest, redirectUri } from '../support/oauth.ts'
import { freePort } from '../support/postgres.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

const modules = '/usr/lib/apache2/modules'

/** Only what is needed; a module that is built in has no file. */
const loaded = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'authz_user',
  'alias',
  'dir',
  'mime',
  'include',
  'auth_openidc',
  'headers',
  'unixd',
  'log_config',
]
  .filter((name) => existsSync(`${modules}/mod_${name}.so`))
  .map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`)
  .join('\n')

describe('Apache with mod_auth_openidc', needs('apache2', 'mod_auth_openidc'), () => {
  let signet: Signet
  let address: string
  let folder: string
  let apache: ReturnType<typeof spawn>

  before(async () => {
    signet = await startSignet()
    const port = await freePort()
    address = `http://localhost:${port}`
    const callback = `${address}/secure/callback`
    await signet.apply(clientManifest('apache', `  postLogoutRedirectUris: ['${address}/bye.html']`).replace(redirectUri, callback))
    const { body } = await signet.api<ClientCredentials>('GET', '/api/v1/namespaces/default/authclients/apache/credentials')

    folder = mkdtempSync(join(tmpdir(), 'signet-apache-'))
    mkdirSync(join(folder, 'www', 'secure'), { recursive: true })
    writeFileSync(join(folder, 'www', 'bye.html'), 'bye')
    // Server-side includes print what Apache was told of the person.
    const claims = ['sub', 'preferred_username', 'email', 'name', 'groups', 'iss'].map(
      (name) => `${name}=<!--#echo var="OIDC_CLAIM_${name}" -->\n`,
    )
    writeFileSync(join(folder, 'www', 'secure', 'index.shtml'), `user=<!--#echo var="REMOTE_USER" -->\n${claims.join('')}`)
    writeFileSync(
      join(folder, 'apache.conf'),
      `
ServerRoot ${folder}
PidFile ${folder}/apache.pid
Listen 127.0.0.1:${port}
ServerName localhost
${loaded}
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
ErrorLog ${folder}/error.log
LogLevel warn auth_openidc:info
DocumentRoot ${folder}/www
DirectoryIndex index.shtml
TypesConfig /dev/null
AddType text/html .shtml .html
AddOutputFilter INCLUDES .shtml
<Directory ${folder}/www>
  Options +Includes
  Require all granted
</Directory>

OIDCProviderMetadataURL ${signet.issuer}/.well-known/openid-configuration
OIDCClientID ${body.client_id}
OIDCClientSecret ${body.client_secret}
OIDCRedirectURI ${callback}
OIDCCryptoPassphrase ${randomBytes(24).toString('hex')}
OIDCScope "openid profile email groups"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCCookieSameSite On
<Location /secure>
  AuthType openid-connect
  Require valid-user
</Location>
`,
    )
    await import('node:fs/promises').then(({ chmod }) => chmod(folder, 0o755))
    apache = spawn(findProgram('apache2') ?? 'apache2', ['-f', join(folder, 'apache.conf'), '-DFOREGROUND'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [apache.stdout, apache.stderr])
      stream?.on('data', (chunk) => {
        output += chunk
      })
    await until(
      () =>
        fetch(`${address}/bye.html`).then(
          ({ ok }) => ok,
          () => {
            if (apache.exitCode !== null) throw new Error(`Apache ended with ${apache.exitCode}: ${output}${errorLog()}`)
            return false
          },
        ),
      { explain: () => output + errorLog() },
    )
    const { body: user } = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username: 'roy',
      name: 'Roy Fielding',
      email: 'roy@example.com',
    })
    await signet.api('POST', `/api/v1/users/${user.id}/password`, { password: 'representational' })
    await signet.api('POST', '/api/v1/groups', { name: 'authors', members: ['roy'] })
  })
  after(async () => {
    if (apache?.pid && apache.exitCode === null) {
      apache.kill('SIGTERM')
      await once(apache, 'exit')
    }
    await signet?.stop()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })
  const errorLog = () => (existsSync(join(folder, 'error.log')) ? readFileSync(join(folder, 'error.log'), 'utf8').slice(-4_000) : '')

  test('protects a page and shows who signed in', async () => {
    const atApache = newVisitor(address)
    const sent = await atApache.open(`${address}/secure/`)
    assert.equal(sent.left?.origin, signet.issuer, errorLog())

    const atSignet = newVisitor(signet.issuer)
    const back = await walk(atSignet, await atSignet.open(sent.left?.href ?? ''), { username: 'roy', password: 'representational' })
    assert.equal(back.left?.origin, address, back.text)

    const page = await atApache.open(back.left?.href ?? '')
    assert.equal(page.status, 200, `${page.text}\n${errorLog()}`)
    for (const line of [
      'user=roy',
      'preferred_username=roy',
      'email=roy@example.com',
      'name=Roy Fielding',
      'groups=authors',
      `iss=${signet.issuer}`,
    ])
      assert.ok(page.html.replaceAll('&#x3a;', ':').includes(line), `${line} in ${page.html}`)

    const again = await atApache.open(`${address}/secure/`)
    assert.equal(again.status, 200, 'the session at Apache lasts')
  })

  test('signs out there and here', async () => {
    const atApache = newVisitor(address)
    const atSignet = newVisitor(signet.issuer)
    const sent = await atApache.open(`${address}/secure/`)
    const back = await walk(atSignet, await atSignet.open(sent.left?.href ?? ''), { username: 'roy', password: 'representational' })
    await atApache.open(back.left?.href ?? '')
    const out = await atApache.open(`${address}/secure/callback?logout=${encodeURIComponent(`${address}/bye.html`)}`)
    assert.equal(out.left?.origin, signet.issuer, errorLog())
    assert.equal(out.left?.pathname, '/oauth2/end-session')
    let page = await atSignet.open(out.left?.href ?? '')
    if (!page.left) page = await atSignet.submit(page)
    assert.equal(page.left?.href.split('?')[0], `${address}/bye.html`, page.text)
    assert.equal((await atSignet.request('/api/v1/me')).status, 401)
    assert.equal((await atApache.open(`${address}/secure/`)).left?.origin, signet.issuer)
  })
})

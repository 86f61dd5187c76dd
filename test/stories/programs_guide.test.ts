/** docs/guides/programs.md, word for word: its manifests applied, its commands run, in its order. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { blocksOf } from '../support/guide.ts'
import { newVisitor, walk } from '../support/http.ts'
import { needs } from '../support/needs.ts'
import { claimsOf, type TokenAnswer } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

const [credentials = '', alone = '', introspect = '', begin = '', poll = '', refresh = '', revoke = '', exchange = ''] = blocksOf(
  'programs',
  'sh',
)

describe('the guide of programs', needs('curl'), () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
    await signet.apply(blocksOf('programs', 'yaml')[0] ?? '')
  })
  after(() => signet?.stop())

  const type = async (command: string, env: Record<string, string> = {}): Promise<TokenAnswer['body']> => {
    const { stdout } = await promisify(execFile)('bash', ['-c', command], { env: { ...process.env, SIGNET: signet.issuer, ...env } })
    return stdout === '' ? {} : JSON.parse(stdout)
  }
  const secretOf = async (client: string): Promise<string> => {
    const command = credentials.replace(/^export .*$/gm, '').replace('/reports/', `/${client}/`)
    const { client_id, client_secret } = await type(command, { SIGNET_TOKEN: signet.token })
    assert.equal(client_id, `default.${client}`)
    return String(client_secret)
  }
  const agree = async (user_code: unknown) => {
    const visitor = newVisitor(signet.issuer)
    const typed = await visitor.submit(await visitor.open(`${signet.issuer}/oauth2/device`), { user_code: String(user_code) })
    const page = await walk(visitor, await visitor.submit(typed, { confirm: 'yes' }), { username: 'admin', password: signet.password })
    assert.match(page.text, /Your device is connected/)
  }

  it('client credentials', async () => {
    const SECRET = await secretOf('reports')
    const { access_token = '', refresh_token } = await type(alone, { SECRET })
    const { sub, aud, scope } = claimsOf(access_token)
    assert.deepEqual([sub, aud, scope, refresh_token], ['default.reports', 'https://reports.example.com', 'reports.read', undefined])
    assert.equal((await type(introspect, { SECRET, ACCESS_TOKEN: access_token })).active, true)
  })

  it('the device grant, a refresh, an exchange, and what they end with', async () => {
    const { device_code, user_code } = await type(begin)
    const DEVICE_CODE = String(device_code)
    assert.equal((await type(poll, { DEVICE_CODE })).error, 'authorization_pending')
    await agree(user_code)
    const tokens = await type(poll, { DEVICE_CODE })
    const renewed = await type(refresh, { REFRESH_TOKEN: tokens.refresh_token ?? '' })
    const ACCESS_TOKEN = renewed.access_token ?? ''
    assert.deepEqual(claimsOf(ACCESS_TOKEN).aud, 'https://gateway.example.com')

    const SECRET = await secretOf('gateway')
    const exchanged = await type(exchange, { SECRET, ACCESS_TOKEN })
    const { sub, aud, scope, exp } = claimsOf(exchanged.access_token)
    assert.deepEqual([sub, aud, scope], [claimsOf(ACCESS_TOKEN).sub, 'https://orders.example.com', 'orders.read'])
    assert.ok(Number(exp) <= Number(claimsOf(ACCESS_TOKEN).exp))
    for (const [written, instead, error] of [
      ['resource=https://orders.example.com', 'resource=https://elsewhere.example.com', 'invalid_target'],
      ['scope=orders.read', 'scope=orders.write', 'invalid_scope'],
      ['$ACCESS_TOKEN', exchanged.access_token?.replace(/.$/, '') ?? '', 'invalid_request'],
    ] as const) {
      assert.ok(exchange.includes(written))
      assert.equal(
        (
          await type(
            exchange.replace(written, () => instead),
            { SECRET, ACCESS_TOKEN },
          )
        ).error,
        error,
      )
    }

    const isActive = async (token = '') =>
      (await type(introspect.replace('default.reports', 'default.gateway'), { SECRET, ACCESS_TOKEN: token })).active
    assert.equal(await isActive(exchanged.access_token), true)
    await type(revoke, { REFRESH_TOKEN: renewed.refresh_token ?? '' })
    assert.equal(await isActive(exchanged.access_token), false)
    assert.equal(await isActive(ACCESS_TOKEN), false)
  })

  it('a device code that is used again ends what it gave', async () => {
    const { device_code, user_code } = await type(begin)
    const DEVICE_CODE = String(device_code)
    await agree(user_code)
    const { refresh_token = '' } = await type(poll, { DEVICE_CODE })
    assert.equal((await type(poll, { DEVICE_CODE })).error, 'invalid_grant')
    assert.equal((await type(refresh, { REFRESH_TOKEN: refresh_token })).error, 'invalid_grant')
  })
})

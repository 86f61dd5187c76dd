/** PostgreSQL goes away and comes back under load: readiness falls and returns, the process stays, and nothing needs a hand. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { basic, type ClientCredentials, clientManifest, exchange, makeClient, post, refresh, signIn, token } from '../support/oauth.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

describe('a restart of PostgreSQL', () => {
  let folder: string
  let postgres: Postgres
  let signet: Signet
  let client: ClientCredentials
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'signet-chaos-'))
    await import('node:fs/promises').then(({ chmod }) => chmod(folder, 0o755))
    postgres = await startPostgres(folder)
    signet = await startSignet({ databaseUrl: postgres.url })
    client = await makeClient(signet, 'steady')
  })
  after(async () => {
    await signet?.stop()
    await postgres?.stop('immediate')
    rmSync(folder, { recursive: true, force: true })
  })

  const ready = () => fetch(`http://127.0.0.1:${signet.port}/-/health/ready`).then(({ status }) => status)

  for (const mode of ['fast', 'immediate'] as const)
    test(`stopped (${mode}) and started under load: not ready, then ready, the same process, and every answer is a registered one`, async () => {
      const pid = signet.pid()
      const kept = await exchange(signet, client, await signIn(signet, client))
      const answers: { status: number; error: unknown }[] = []
      let stopped = false
      const load = Array.from({ length: 6 }, async (_, index) => {
        while (!stopped) {
          const answer =
            index % 2
              ? await token(signet, client, { grant_type: 'client_credentials' })
              : await post(`${signet.issuer}/oauth2/introspect`, { token: kept.body.refresh_token ?? '' }, basic(client))
          answers.push({ status: answer.status, error: answer.body.error })
          if (answer.status !== 200) await delay(20)
        }
      })
      await until(() => answers.length > 20)
      await postgres.stop(mode)
      await until(async () => (await ready()) === 503, { explain: () => 'readiness did not fall' })
      assert.equal((await fetch(`http://127.0.0.1:${signet.port}/-/health/live`)).status, 200)
      await delay(500)
      await postgres.start()
      await until(async () => (await ready()) === 200, { explain: () => 'readiness did not return' })
      const since = answers.length
      await until(() => answers.length > since + 40 && answers.slice(-20).every(({ status }) => status === 200), {
        explain: () => `answers did not get well: ${JSON.stringify(answers.slice(-5))}`,
      })
      stopped = true
      await Promise.all(load)
      assert.equal(signet.pid(), pid)
      assert.ok(signet.isAlive())
      for (const { status, error } of answers) {
        assert.ok([200, 500, 503].includes(status), `${status} ${error}`)
        if (status !== 200) assert.ok(['server_error', 'temporarily_unavailable'].includes(String(error)), `${status} ${error}`)
      }
      assert.equal((await refresh(signet, client, kept.body.refresh_token)).status, 200, 'what was acknowledged is there')
    })

  test('changes of configuration are heard again afterwards', async () => {
    const other = await startSignet({
      databaseUrl: postgres.url,
      command: 'server',
      settings: {
        SECRET_KEY: signet.env.SIGNET_SECRET_KEY,
        BASE_URL: signet.issuer,
      },
    })
    try {
      await postgres.stop('fast')
      await postgres.start()
      await until(async () => (await ready()) === 200)
      await until(async () => (await fetch(`http://127.0.0.1:${other.port}/-/health/ready`)).status === 200)
      await signet.apply(clientManifest('heard'))
      const { body } = await signet.api<ClientCredentials>('GET', '/api/v1/namespaces/default/authclients/heard/credentials')
      const { request } = await import('node:http')
      const statusAtOther = () =>
        new Promise<number>((resolve, reject) => {
          const asking = request(
            {
              host: '127.0.0.1',
              port: other.port,
              path: '/oauth2/token',
              method: 'POST',
              headers: { host: new URL(signet.issuer).host, 'content-type': 'application/x-www-form-urlencoded', ...basic(body) },
            },
            (response) => resolve(response.resume().statusCode ?? 0),
          )
          asking.on('error', reject)
          asking.end('grant_type=client_credentials')
        })
      await until(async () => (await statusAtOther()) === 200, {
        withinMs: 10_000,
        explain: () => 'the other server did not hear of the new client',
      })
    } finally {
      await other.stop()
    }
  })
})

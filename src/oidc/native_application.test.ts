import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { clientManifest, redirectUri, request } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

describe('the type of an application', () => {
  let test: TestIssuer
  let cookie: string

  before(async () => {
    test = await startIssuer()
    ;({ cookie } = await test.signIn('ann'))
  })
  after(() => test.close())

  it('a native application comes back to any port of its machine and to its own scheme, a web application to neither (RFC 8252)', async () => {
    const loopback = 'http://127.0.0.1:8000/callback'
    const client = async (name: string, applicationType: string, uris: string[]) => {
      const manifest = clientManifest(
        name,
        `  applicationType: ${applicationType}\n  clientType: public\n  grantTypes: [authorization_code]`,
      )
      await test.apply(manifest.replace(`['${redirectUri}']`, JSON.stringify(uris)))
      return { client_id: `default.${name}` }
    }
    const native = await client('native', 'native', [loopback, 'com.example.app:/callback', redirectUri])
    const web = await client('web', 'web', [loopback, redirectUri])
    const takes = async (one: { client_id: string }, redirect_uri: string) => {
      const answer = await request(test, one, cookie, { redirect_uri, code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' })
      return answer.status === 303 && (answer.headers.get('location') ?? '').startsWith(redirect_uri)
    }
    for (const [redirect_uri, ofNative, ofWeb] of [
      [loopback, true, true],
      [redirectUri, true, true],
      ['http://127.0.0.1:9123/callback', true, false],
      ['com.example.app:/callback', true, false],
      ['http://127.0.0.1:9123/other', false, false],
      ['http://127.0.0.2:8000/callback', false, false],
      ['com.example.app:/other', false, false],
      ['https://client.example:8443/callback', false, false],
    ] as const)
      assert.deepEqual([await takes(native, redirect_uri), await takes(web, redirect_uri)], [ofNative, ofWeb], redirect_uri)
  })
})

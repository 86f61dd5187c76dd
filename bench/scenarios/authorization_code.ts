import { authorizeAddress, verifier } from '../ours.ts'
import { basic, formHeaders } from '../target.ts'
import { expectJson, type LoadScenario, oneEach } from './scenario.ts'

/** Two requests, counted as one: authorize by a browser that is signed in and has consented, then the code for tokens, with PKCE. */
export const authorization_code: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target, connections) => {
    const headers = { ...formHeaders, authorization: basic(target) }
    const cookies = await oneEach(connections, target.session)
    const address = authorizeAddress(target, 'openid profile email')
    const redirectUri = encodeURIComponent(target.client.redirectUri)
    return (
      cookies &&
      (async (connection, worker) => {
        const answer = await connection.send('GET', address, { cookie: cookies[worker] ?? '', accept: 'text/html' })
        const location = answer.headers.get('location')?.[0] ?? ''
        const code = /[?&]code=([^&]+)/.exec(location)?.[1]
        if (!code) throw new Error(`authorize answered ${answer.status} ${location.slice(0, 200) || answer.body.slice(0, 200)}`)
        const body = `grant_type=authorization_code&code=${code}&redirect_uri=${redirectUri}&code_verifier=${verifier}`
        expectJson(await connection.send('POST', target.endpoints.token, headers, body), 'id_token')
      })
    )
  },
}

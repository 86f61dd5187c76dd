import { basic, formHeaders } from '../target.ts'
import { expectJson, type LoadScenario, oneEach } from './scenario.ts'

/** Each connection spends the refresh token that the request before gave it: rotated and stored each time. */
export const refresh_token: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target, connections) => {
    const headers = { ...formHeaders, authorization: basic(target) }
    const tokens = await oneEach(connections, target.refreshToken)
    return (
      tokens &&
      (async (connection, worker) => {
        const body = `grant_type=refresh_token&refresh_token=${tokens[worker]}`
        tokens[worker] = String(
          expectJson(await connection.send('POST', target.endpoints.token, headers, body), 'refresh_token').refresh_token,
        )
      })
    )
  },
}

import { basic, formHeaders } from '../target.ts'
import { expectJson, type LoadScenario } from './scenario.ts'

/** A client gets an access token for itself: ES256 JWT (RFC 9068), nothing stored. */
export const client_credentials: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target) => {
    const headers = { ...formHeaders, authorization: basic(target) }
    return async (connection) => {
      expectJson(await connection.send('POST', target.endpoints.token, headers, 'grant_type=client_credentials'), 'access_token')
    }
  },
}

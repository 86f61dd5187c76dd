import { basic, formHeaders } from '../target.ts'
import { expectJson, type LoadScenario, oneEach } from './scenario.ts'

/** A client asks whether its token is good (RFC 7662). */
export const introspection: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target, connections) => {
    const headers = { ...formHeaders, authorization: basic(target) }
    const tokens = await oneEach(connections, target.tokenToIntrospect)
    return (
      tokens &&
      (async (connection, worker) => {
        expectJson(await connection.send('POST', target.endpoints.introspection, headers, `token=${tokens[worker]}`), 'active')
      })
    )
  },
}

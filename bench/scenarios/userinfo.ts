import { expectJson, type LoadScenario, oneEach } from './scenario.ts'

/** The claims of a person by their access token: scopes openid, profile and email. */
export const userinfo: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target, connections) => {
    const tokens = await oneEach(connections, target.accessToken)
    return (
      tokens &&
      (async (connection, worker) => {
        expectJson(
          await connection.send('GET', target.endpoints.userinfo, {
            authorization: `Bearer ${tokens[worker]}`,
            accept: 'application/json',
          }),
          'sub',
        )
      })
    )
  },
}

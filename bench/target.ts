/** What is measured, as the scenarios see it: ours, the limit, or any other provider. */
export interface Target {
  name: string
  origin: string
  /** Paths. */
  endpoints: { authorization: string; token: string; introspection: string; userinfo: string }
  client: { id: string; secret: string; redirectUri: string }
  /** Each answers undefined where this target can't give one; the scenario is then left out. */
  /** The Cookie header of a browser signed in, with consent given once. */
  session(worker: number): Promise<string | undefined>
  /** For userinfo. */
  accessToken(worker: number): Promise<string | undefined>
  refreshToken(worker: number): Promise<string | undefined>
  /** For introspection. */
  tokenToIntrospect(worker: number): Promise<string | undefined>
}

export const basic = ({ client }: Target): string =>
  `Basic ${Buffer.from(`${encodeURIComponent(client.id)}:${encodeURIComponent(client.secret)}`).toString('base64')}`

export const formHeaders = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }

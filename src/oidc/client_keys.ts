import type { Client } from 'oidc-provider'
import type { Clock } from '#/lib/clock.ts'

/** How long a `jwks_uri` that did not answer is left alone: else everyone who knows a client_id could have us call it as often as they like. */
const quietMs = 10_000

interface KeyStore {
  refresh(): Promise<void>
}

/** The library asks again at each request until it has an answer; here a failure is remembered too. */
export const rememberKeyFailures = (client: Client, clock: Clock): void => {
  // Left out of its types.
  const store = (client as Client & { asymmetricKeyStore?: KeyStore }).asymmetricKeyStore
  if (!store || client.jwksUri === undefined) return
  const refresh = store.refresh.bind(store)
  let failed: { error: unknown; until: number } | undefined
  store.refresh = async () => {
    if (failed && clock().getTime() < failed.until) throw failed.error
    try {
      await refresh()
      failed = undefined
    } catch (error) {
      failed = { error, until: clock().getTime() + quietMs }
      throw error
    }
  }
}

import { startUpstream, type Upstream } from './guarded.ts'
import { freePort } from './postgres.ts'
import { type Signet, startSignet } from './signet.ts'

export interface SecureSite {
  signet: Signet
  upstream: Upstream
  /** TLS_PORT. */
  port: number
  /** Of the AuthServer `secure`. */
  host: string
  /** Of an application behind its outpost; anyone may ask for what lies below /open. */
  app: string
  stop(): Promise<void>
}

/** A server that speaks TLS. `answer`: what the application does, where that is not what every upstream does. */
export const startSecureSite = async (answer?: Parameters<typeof startUpstream>[0]): Promise<SecureSite> => {
  const port = await freePort()
  const host = `localhost:${port}`
  const app = `app.${host}`
  const upstream = await startUpstream(answer)
  const signet = await startSignet({ settings: { TLS_PORT: String(port) } }).catch(async (error: Error) => {
    await upstream.stop()
    throw error
  })
  await signet.apply(`apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: { name: secure }
spec: { issuerUrl: "https://${host}", policySelector: { signet.dev/auth-server: default } }
---
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: app }
spec:
  displayName: App
  authServerRef: { name: secure }
  proxy: { mode: proxy, externalUrl: "https://${app}", upstreamUrl: "http://127.0.0.1:${upstream.port}", publicPaths: ["/open.*"] }
`)
  return {
    signet,
    upstream,
    port,
    host,
    app,
    stop: async () => {
      await signet.stop()
      await upstream.stop()
    },
  }
}

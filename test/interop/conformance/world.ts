/** A Signet for the suite to try: started behind the TLS front of the suite, with the manifests applied, a person and keys made. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { type Signet, startSignet } from '../../support/signet.ts'
import type { ClientCredentials, World } from './configuration.ts'

export interface Place {
  /** Address of the suite. */
  suite: string
  /** Address people reach Signet by; a front with TLS there hands requests on to `port`, with X-Forwarded headers. */
  provider: string
  port: number
}

const namespace = 'conformance'
const username = 'ann'
const codeClients = ['conformance-one', 'conformance-two', 'conformance-post', 'conformance-backchannel']
const implicitClients = ['implicit-one', 'implicit-two', 'implicit-post']
const keyClients = ['fapi2-one', 'fapi2-two', 'fapi2-signed-one', 'fapi2-signed-two']
const written = { provider: 'https://suite.test:9444', suite: 'https://suite.test:8443' }

const makeKey = async (name: string): Promise<JWK> => {
  // RSA, since the suite then also tries what must be refused of it.
  const { privateKey } = await generateKeyPair('PS256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: name, alg: 'PS256', use: 'sig' }
}

const publicPart = ({ kty, n, e, kid, alg, use }: JWK) => ({ kty, n, e, kid, alg, use })

/** The manifests with the real addresses, and the public key of each client that signs. */
const manifestsFor = ({ suite, provider }: Place, keys: Record<string, JWK>): string =>
  readFileSync(new URL('manifests.yaml', import.meta.url), 'utf8')
    .replaceAll(written.provider, provider)
    .replaceAll(written.suite, suite)
    .split('\n---\n')
    .map((document) => {
      const name = keyClients.find((client) => document.includes(`  name: ${client}\n`))
      const key = name && keys[name]
      return key ? `${document.trimEnd()}\n  jwks: ${JSON.stringify({ keys: [publicPart(key)] })}\n` : document
    })
    .join('\n---\n')

const findUser = async (signet: Signet): Promise<string> => {
  const { body } = await signet.api<{ items: { id: string; username: string }[] }>('GET', `/api/v1/users?q=${username}&limit=50`)
  const user = body.items.find((item) => item.username === username)
  if (!user) throw new Error(`the manifests made no user ${username}`)
  return user.id
}

/** `logged` is given all that Signet logs. */
export const openWorld = async (place: Place, logged?: (text: string) => void): Promise<{ world: World; signet: Signet }> => {
  const signet = await startSignet({
    settings: { PORT: String(place.port), BASE_URL: place.provider, TRUSTED_PROXIES: '127.0.0.1 ::1' },
    ...(logged ? { logged } : {}),
  })
  try {
    const keys = Object.fromEntries(await Promise.all(keyClients.map(async (name) => [name, await makeKey(name)] as const)))
    for (const { kind, name, errors } of await signet.apply(manifestsFor(place, keys)))
      if (errors.length) throw new Error(`${kind} ${name}: ${JSON.stringify(errors)}`)
    const password = randomBytes(12).toString('base64url')
    const changed = await signet.api('POST', `/api/v1/users/${await findUser(signet)}/password`, { password })
    if (changed.status >= 300) throw new Error(`setting the password answered ${changed.status}: ${changed.text}`)
    const clients: Record<string, ClientCredentials> = {}
    for (const name of [...codeClients, ...implicitClients]) {
      const { status, body, text } = await signet.api<Required<ClientCredentials>>(
        'GET',
        `/api/v1/namespaces/${namespace}/authclients/${name}/credentials`,
      )
      if (status !== 200) throw new Error(`the credentials of ${name} answered ${status}: ${text}`)
      clients[name] = { client_id: body.client_id, client_secret: body.client_secret }
    }
    for (const name of keyClients) clients[name] = { client_id: `${namespace}.${name}` }
    return { signet, world: { provider: place.provider, suite: place.suite, visitor: { username, password }, clients, keys } }
  } catch (error) {
    const logs = signet.logs()
    await signet.stop()
    throw new Error(`${(error as Error).message}\n${logs.slice(-4_000)}`, { cause: error })
  }
}

/** From the environment: `OIDF_SUITE_URL`, `OIDF_PROVIDER_URL` (default: port 9444 of the suite's host), `OIDF_PROVIDER_PORT` (9000). Undefined without a suite. */
export const findPlace = (env: Record<string, string | undefined>): Place | undefined => {
  const suite = env.OIDF_SUITE_URL?.replace(/\/+$/, '')
  if (!suite) return undefined
  const provider = env.OIDF_PROVIDER_URL?.replace(/\/+$/, '') ?? `https://${new URL(suite).hostname}:9444`
  return { suite, provider, port: Number(env.OIDF_PROVIDER_PORT ?? 9000) }
}

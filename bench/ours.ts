/** Signet as an operator runs it: `signet server` on PostgreSQL, default settings, a client and a person made by manifest over its own REST. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { openConnection } from './connection.ts'
import { type Program, startProgram } from './program.ts'
import { basic, formHeaders, type Target } from './target.ts'
import { type Arrival, openVisitor, type Visitor } from './visitor.ts'

export interface Ours extends Target {
  databaseUrl: string
  person: { username: string; password: string }
  /** A browser signed in at an application behind the outpost: its Cookie header, and where the application stands. */
  guarded(worker: number): Promise<{ cookie: string; host: string; path: string }>
  /** The same at one that stands behind it. */
  proxied(worker: number): Promise<{ cookie: string; path: string }>
  /** Starts another server on the same database and answers when it is ready; for measuring just that. */
  startAnother(): Promise<Program>
  pid: number
  stop(): Promise<void>
}

const readyWithinMs = 60_000
const redirectUri = 'http://127.0.0.1:9/callback'

/** On the host of the server, so that one browser goes from there to its sign-in and back. */
const guardedUrl = (origin: string) => new URL('/guarded', origin).href
const proxiedUrl = (origin: string) => new URL('/proxied', origin).href

const manifests = (issuerUrl: string, upstream: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: bench, namespace: bench, labels: { bench: 'true' } }
spec:
  allowedGrantTypes: [authorization_code, refresh_token, client_credentials]
  allowedScopes: [openid, profile, email, offline_access]
  enforcePKCE: true
---
apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: { name: bench, namespace: bench }
spec: { issuerUrl: '${issuerUrl}', policySelector: { matchLabels: { bench: 'true' } } }
---
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: bench, namespace: bench }
spec:
  displayName: Bench
  authServerRef: { name: bench, namespace: bench }
  clientId: bench
  clientType: confidential
  redirectUris: ['${redirectUri}']
  scopes: [openid, profile, email, offline_access]
---
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: bench, namespace: bench, labels: { bench: 'true' } }
spec:
  displayName: Bench
  authServerRef: { name: bench }
  proxy: { mode: forward_single, externalUrl: '${guardedUrl(issuerUrl)}' }
---
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: proxied, namespace: bench, labels: { bench: 'true' } }
spec:
  displayName: Bench
  authServerRef: { name: bench }
  proxy: { mode: proxy, externalUrl: '${proxiedUrl(issuerUrl)}', upstreamUrl: '${upstream}' }
---
apiVersion: signet.dev/v1alpha1
kind: User
metadata: { name: bench, namespace: bench }
spec: { username: bench, name: Bench Mark, email: bench@example.com, emailVerified: true }
`

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

export const isReady = async (origin: string, within = readyWithinMs, everyMs = 5): Promise<void> => {
  for (const until = performance.now() + within; performance.now() < until; await delay(everyMs)) {
    const connection = openConnection(origin)
    const status = await connection.send('GET', '/-/health/ready', {}).then(
      (answer) => answer.status,
      () => 0,
    )
    connection.close()
    if (status === 200) return
  }
  throw new Error(`${origin} was not ready within ${within / 1000} s`)
}

/** `upstream`: of the application that stands behind the outpost. */
export const startOurs = async (databaseUrl: string, folder: string, upstream: string): Promise<Ours> => {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const token = randomBytes(32).toString('base64url')
  const environment = (port: number, metricsPort: number): Record<string, string> => ({
    SIGNET_PORT: String(port),
    SIGNET_HOST: '127.0.0.1',
    SIGNET_METRICS_PORT: String(metricsPort),
    SIGNET_BASE_URL: origin,
    SIGNET_DATABASE_URL: databaseUrl,
    SIGNET_DATA_DIR: folder,
    SIGNET_SECRET_KEY: secretKey,
    SIGNET_BOOTSTRAP_TOKEN: token,
    SIGNET_BOOTSTRAP_PASSWORD: randomBytes(16).toString('base64url'),
    // From bin/malloc.sh, as bin/signet has it for whoever starts that.
    GLIBC_TUNABLES: process.env.GLIBC_TUNABLES ?? '',
  })
  const secretKey = randomBytes(48).toString('base64')
  await startProgram(['bin/signet', 'migrate'], environment(port, 0)).ended()
  const server = startProgram(['bin/signet', 'server'], environment(port, await freePort()))
  await Promise.race([isReady(origin), server.endedEarly()])

  const rest = async <Answer>(method: string, path: string, type?: string, body?: string): Promise<Answer> => {
    const response = await fetch(origin + path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(type ? { 'content-type': type } : {}) },
      body: body ?? null,
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 2_000)}`)
    return (text ? JSON.parse(text) : undefined) as Answer
  }
  // An issuer of its own, told from the first one by its path: nothing that the first start made is changed.
  await rest('POST', '/api/v1/apply', 'application/yaml', manifests(`${origin}/bench`, upstream))
  const person = { username: 'bench', password: randomBytes(12).toString('base64url') }
  const { items } = await rest<{ items: { id: string; username: string }[] }>('GET', `/api/v1/users?q=${person.username}&limit=5`)
  const user = items.find(({ username }) => username === person.username)
  if (!user) throw new Error('the person of the manifest is not there')
  await rest('POST', `/api/v1/users/${user.id}/password`, 'application/json', JSON.stringify({ password: person.password }))
  const client = await rest<{ client_id: string; client_secret: string }>('GET', '/api/v1/namespaces/bench/authclients/bench/credentials')

  const endpoints = {
    authorization: '/bench/oauth2/authorize',
    token: '/bench/oauth2/token',
    introspection: '/bench/oauth2/introspect',
    userinfo: '/bench/oauth2/userinfo',
  }
  const ours: Ours = {
    name: 'signet',
    origin,
    endpoints,
    client: { id: client.client_id, secret: client.client_secret, redirectUri },
    person,
    databaseUrl,
    pid: server.pid,
    session: async (worker) => (await signedIn(worker)).cookie(endpoints.authorization),
    accessToken: async (worker) => (await tokens(worker, 'openid profile email')).access_token,
    refreshToken: async (worker) => (await tokens(worker, 'openid profile email offline_access')).refresh_token,
    tokenToIntrospect: () => clientToken(ours),
    guarded: async (worker) => {
      const url = new URL(guardedUrl(origin))
      return { cookie: await signedInAt(worker, url), host: url.host, path: `${url.pathname}/page?a=b` }
    },
    proxied: async (worker) => {
      const url = new URL(proxiedUrl(origin))
      return { cookie: await signedInAt(worker, url), path: `${url.pathname}/page?a=b` }
    },
    startAnother: async () => {
      const own = await freePort()
      const another = startProgram(['bin/signet', 'server'], environment(own, await freePort()))
      await isReady(`http://127.0.0.1:${own}`, readyWithinMs, 1)
      return another
    },
    stop: async () => {
      for (const visitor of visitors.values()) (await visitor).close()
      await server.stop()
    },
  }

  const visitors = new Map<number, Promise<Visitor>>()
  const signedIn = (worker: number): Promise<Visitor> => {
    const known = visitors.get(worker) ?? signIn(ours)
    visitors.set(worker, known)
    return known
  }
  const signedInAt = async (worker: number, application: URL): Promise<string> => {
    const visitor = await signedIn(worker)
    await throughPages(visitor, await visitor.visit(`/outpost.signet/start?rd=${encodeURIComponent(`${application.href}/`)}`), person)
    return visitor.cookie(`${application.pathname}/`)
  }
  const tokens = async (worker: number, scope: string): Promise<{ access_token?: string; refresh_token?: string }> => {
    const visitor = await signedIn(worker)
    const arrival = await throughPages(
      visitor,
      await visitor.visit(authorizeAddress(ours, scope, scope.includes('offline_access'))),
      person,
    )
    const answer = await post(ours, {
      grant_type: 'authorization_code',
      code: codeOf(arrival),
      redirect_uri: redirectUri,
      code_verifier: verifier,
    })
    return answer as { access_token?: string; refresh_token?: string }
  }
  return ours
}

/** RFC 7636, appendix B: any pair does, and both sides of the comparison hash it anew each time. */
export const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
export const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

export const authorizeAddress = ({ endpoints, client }: Target, scope: string, consent = false): string =>
  `${endpoints.authorization}?${new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: client.redirectUri,
    scope,
    state: 'bench',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...(consent ? { prompt: 'consent' } : {}),
  })}`

export const codeOf = ({ url, status, body }: Arrival): string => {
  const code = url.searchParams.get('code')
  if (!code) throw new Error(`no code at ${url.origin}${url.pathname} (${status}): ${url.search || body.slice(0, 300)}`)
  return code
}

/** Whatever page comes: the name, the password, consent; until the browser is sent to the client. */
const throughPages = async (visitor: Visitor, first: Arrival, values: Record<string, string>): Promise<Arrival> => {
  let page = first
  for (let step = 0; step < 6 && page.status === 200 && page.body.includes('<form'); step++) page = await visitor.submit(page, values)
  return page
}

const signIn = async (ours: Ours): Promise<Visitor> => {
  const visitor = openVisitor(ours.origin)
  codeOf(await throughPages(visitor, await visitor.visit(authorizeAddress(ours, 'openid profile email')), ours.person))
  return visitor
}

const post = async (target: Target, form: Record<string, string>): Promise<unknown> => {
  const connection = openConnection(target.origin)
  const answer = await connection.send(
    'POST',
    target.endpoints.token,
    { ...formHeaders, authorization: basic(target) },
    new URLSearchParams(form).toString(),
  )
  connection.close()
  if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status}: ${answer.body.slice(0, 300)}`)
  return JSON.parse(answer.body)
}

/** A token of the client itself, which every provider gives. */
export const clientToken = async (target: Target): Promise<string> =>
  ((await post(target, { grant_type: 'client_credentials' })) as { access_token: string }).access_token

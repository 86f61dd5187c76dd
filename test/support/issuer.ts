/** OpenID Connect alone, in this process, over real HTTP and a database of its own: for the tests that stand beside src/oidc/. */
import { randomBytes } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openPages } from '#/flow/pages.ts'
import { openPasswordHasher } from '#/identity/passwords.ts'
import { createSession } from '#/identity/sessions.ts'
import { createUser } from '#/identity/users.ts'
import { type KindName, kinds } from '#/kinds/index.ts'
import { systemClock } from '#/lib/clock.ts'
import { networkMatcher } from '#/lib/config.ts'
import { setCaller } from '#/lib/http.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { openOidc } from '#/oidc/oidc.ts'
import { applyDocuments } from '#/resources/apply.ts'
import { deleteResource } from '#/resources/change.ts'
import { findClientSecrets } from '#/resources/client_secrets.ts'
import { applyFirstStart } from '#/resources/first_start.ts'
import { openSnapshot, type Snapshot } from '#/resources/snapshot.ts'
import { route, settleHeaders } from '#/server/router.ts'
import { type FreshDatabase, freshDatabase } from './database.ts'

export interface TestIssuer {
  issuer: string
  database: FreshDatabase
  db: FreshDatabase['db']
  snapshot: Snapshot
  rootSecret: Secret
  /** Applies manifests; throws unless all of them were taken. */
  apply(manifests: string): Promise<void>
  remove(kind: KindName, name: string): Promise<void>
  /** client_id and secret of an AuthClient in namespace default. */
  credentials(name: string): Promise<{ client_id: string; client_secret: string }>
  /** Makes a person and a session of theirs: what to send as Cookie. */
  signIn(username: string, fields?: object): Promise<{ user_id: string; cookie: string; uid: string }>
  close(): Promise<void>
}

export const startIssuer = async ({
  logLevel = process.env.TEST_LOG_LEVEL ?? 'silent',
}: {
  logLevel?: string
} = {}): Promise<TestIssuer> => {
  const database = await freshDatabase()
  const { db } = database
  const log = openLog(logLevel)
  const clock = systemClock
  const rootSecret = new Secret(randomBytes(36).toString('base64'))
  const passwords = openPasswordHasher()
  let handle: RequestListener = () => {}
  const server = createServer((request, response) => handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`
  await applyFirstStart(
    {
      db,
      rootSecret,
      passwords,
      settings: { BASE_URL: issuer, BOOTSTRAP_PASSWORD: new Secret('correct horse'), BOOTSTRAP_TOKEN: undefined },
    },
    clock(),
  )
  const snapshot = await openSnapshot({ db, log, clock })
  const pages = openPages({ log })
  const settings = { OUTBOUND_ALLOW: ['127.0.0.0/8', '::1/128'], DATABASE_URL: undefined }
  const oidc = await openOidc({ db, log, clock, settings, snapshot, rootSecret, pages })
  const isTrustedProxy = networkMatcher([])
  handle = (request, response) => {
    const found = route(request, {
      authServerFor: (host, path) => snapshot.authServerFor(host, path),
      guardedPrefix: () => undefined,
      isTrustedProxy,
    })
    if (found.kind !== 'part') {
      response.writeHead(421).end()
      return
    }
    setCaller(request, found.caller)
    settleHeaders(request, found.caller)
    request.url = found.url
    oidc.handle(request, response)
  }
  return {
    issuer,
    database,
    db,
    snapshot,
    rootSecret,
    apply: async (manifests) => {
      const results = await applyDocuments({ db, rootSecret, snapshot }, manifests, { actor: 'test' }, clock())
      const refused = results.filter(({ result }) => result === 'refused')
      if (refused.length) throw new Error(JSON.stringify(refused))
    },
    remove: async (kind, name) => {
      await deleteResource({ db, rootSecret, snapshot }, { kind: kinds[kind], namespace: 'default', name }, { actor: 'test' }, clock())
    },
    credentials: async (name) => {
      const [secret] = await findClientSecrets(db, rootSecret, 'default', name, clock())
      return { client_id: `default.${name}`, client_secret: secret?.secret.reveal() ?? '' }
    },
    signIn: async (username, fields = {}) => {
      const user = await createUser(db, { username, ...fields }, { actor: 'test' }, clock())
      const { token, uid } = await createSession(db, { user_id: user.id, username, amr: ['pwd'], acr: '1fa', issuer }, clock())
      return { user_id: user.id, cookie: `signet_session=${token}`, uid }
    },
    close: async () => {
      await oidc.close()
      snapshot.close()
      await passwords.close()
      server.closeAllConnections()
      server.close()
      await database.drop()
    },
  }
}

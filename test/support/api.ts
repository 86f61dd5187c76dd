/** Our REST, flows as JSON among it, on a real database, without a listener: for tests of single endpoints. */
import type { IncomingMessage } from 'node:http'
import { type FastifyReply, fastify } from 'fastify'
import { buildApi } from '#/api/index.ts'
import { refuseUnrouted } from '#/api/problem.ts'
import { openPages } from '#/flow/pages.ts'
import { flowRoutes } from '#/flow/routes.ts'
import { createToken, type TokenScope, unlimited } from '#/identity/api_tokens.ts'
import { openPasswordHasher } from '#/identity/passwords.ts'
import { readSettings } from '#/lib/config.ts'
import { setCaller } from '#/lib/http.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { openFeed } from '#/outpost/feed.ts'
import { openSnapshot } from '#/resources/snapshot.ts'
import { freshDatabase } from './database.ts'

export const issuerUrl = 'http://localhost:9000'

export interface Answer<Body = unknown> {
  status: number
  headers: Record<string, string | undefined>
  text: string
  /** Undefined when the answer is not JSON. */
  body: Body
}

export interface CallOptions {
  /** Absent: the one with all rights. null: none. */
  token?: string | null
  headers?: Record<string, string>
  contentType?: string
}

/** An object is sent as JSON (PATCH: as merge patch), a string as YAML. */
export type Call = <Body = unknown>(method: string, path: string, body?: unknown, options?: CallOptions) => Promise<Answer<Body>>

export const openApi = async ({ env = {} }: { env?: Record<string, string> } = {}) => {
  const database = await freshDatabase()
  const { db } = database
  const log = openLog('silent')
  const clock = () => new Date()
  const snapshot = await openSnapshot({ db, log, clock })
  const rootSecret = new Secret('a root secret of tests, 32 bytes at least')
  const passwords = openPasswordHasher({ concurrency: 1, queueLimit: 20 })
  const feed = () => openFeed({ db, log, clock, snapshot, rootSecret })
  const { signal: stopping } = new AbortController()
  const deps = { db, log, clock, settings: readSettings(env), snapshot, rootSecret, passwords, feed, stopping }
  const app = fastify({
    // Called first of all, for requests without a route as well.
    genReqId: (request) => {
      setCaller(request as IncomingMessage, {
        network: '192.0.2.7',
        requestId: 'request-of-test',
        authServer: { namespace: 'default', name: 'default', issuerUrl, pathPrefix: '' },
      })
      return 'request-of-test'
    },
    frameworkErrors: (error, request, reply) => refuseUnrouted(error, request, reply as FastifyReply),
    routerOptions: { maxParamLength: 512 },
  })
  await app.register(flowRoutes({ ...deps, pages: openPages({ log }) }))
  await app.register(buildApi(deps), { prefix: '/api' })
  await app.ready()
  let made = 0
  /** A token that belongs to nobody, or to a user. */
  const token = async (scope: TokenScope = unlimited, user_id: string | null = null): Promise<string> => {
    const { token: secret } = await createToken(db, { name: `test ${++made}`, user_id, scope, expires_at: null }, new Date())
    return secret.reveal()
  }
  const full = await token()

  const call: Call = async (method, path, body, { token: given = full, headers = {}, contentType } = {}) => {
    const type =
      contentType ??
      (typeof body === 'string' ? 'application/yaml' : method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
    const response = await app.inject({
      method: method as 'GET',
      url: path,
      headers: {
        ...(given === null ? {} : { authorization: `Bearer ${given}` }),
        ...(body === undefined ? {} : { 'content-type': type }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) }),
    })
    return { status: response.statusCode, headers: response.headers as never, text: response.body, body: parse(response.body) as never }
  }

  return {
    ...deps,
    app,
    call,
    token,
    full,
    /** Answers over the wire as well, for programs; resolves to where. */
    listen: () => app.listen({ port: 0, host: '127.0.0.1' }),
    close: async () => {
      await app.close()
      snapshot.close()
      await passwords.close?.()
      await database.drop()
    },
  }
}

export type Api = Awaited<ReturnType<typeof openApi>>

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

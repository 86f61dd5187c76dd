/**
 * What an endpoint of our REST is: one entry of a table, from which come its route, its checks and its part of openapi.json.
 * An entry without `access` does not compile, so nothing is open by forgetting.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import { z } from 'zod'
import type { Change } from '#/identity/change.ts'
import type { MailDeps } from '#/identity/mail.ts'
import { isKnownVersion, preconditionOf } from '#/lib/entity_tags.ts'
import { type Caller, getCaller } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Right } from '#/policy/access.ts'
import { type ApiCaller, withRights } from './authenticate.ts'
import { checkText, parseJson } from './body.ts'
import { fieldErrors } from './field_errors.ts'

export const json = 'application/json'
export const mergePatch = 'application/merge-patch+json'

type Shape = z.ZodRawShape
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Input<Params, Query, Body> {
  params: Params
  query: Query
  body: Body
  caller: ApiCaller
  http: Caller
  /** Who and from where, as events want it. */
  change: Change
  now: Date
  /** Which versions If-Match and If-None-Match let it change; undefined: any. */
  precondition: ((version: string) => boolean) | undefined
  /** The caller once more, as things are then: for an answer that goes on. Throws when they have no access any more. */
  reauthenticate: () => Promise<ApiCaller>
  /** An address of ours as the caller sees it, with the prefix of the AuthServer. */
  address: (path: string) => string
}

export interface Answer {
  status?: number
  headers?: Record<string, string>
  /** Of what is in the body, which is sent as ETag: who has it already is told so instead (RFC 9110 section 13.1.2). */
  version?: string
  /** The body holds what changes without its version: it is sent each time. */
  isLive?: boolean
  body?: unknown
}

/**
 * `signed_in`: any caller; the handler asks for the rights itself, since they depend on what is in the body or in the database.
 * `session`: a person at a browser, whom the handler takes by `getSession`.
 */
export type Access<Params> = 'public' | 'signed_in' | 'session' | Right | ((params: Params) => Right)

export interface AnswerDoc {
  description: string
  schema?: z.ZodType
  contentType?: string
}

export interface Definition<Params extends Shape, Query extends Shape, Body extends z.ZodType> {
  method: Method
  /** As in OpenAPI: `/v1/users/{id}`, below `/api`. */
  path: string
  tag: string
  summary: string
  access: Access<z.output<z.ZodObject<Params>>>
  params?: z.ZodObject<Params>
  query?: z.ZodObject<Query>
  body?: {
    schema: Body
    /** What openapi.json shows instead of `schema`. */
    doc?: z.ZodType
    contentTypes: readonly string[]
    /** The text itself is handed on; `schema` is documentation. */
    isText?: boolean
    isOptional?: boolean
    limit?: number
  }
  answers: Record<number, AnswerDoc>
  /** Of a GET: it goes on for as long as it is read, so there is no HEAD of it, which nobody would read. */
  isEndless?: boolean
  handle: (input: Input<z.output<z.ZodObject<Params>>, z.output<z.ZodObject<Query>>, z.output<Body>>) => Promise<Answer>
}

/** An endpoint whose types were checked where it was written. */
export interface Endpoint extends Omit<Definition<Shape, Shape, z.ZodType>, 'handle' | 'access'> {
  access: Access<Record<string, never>>
  handle: (input: Input<unknown, unknown, unknown>) => Promise<Answer>
}

/** What openapi.json says of an endpoint, whoever serves it. */
export type DescribedEndpoint = Omit<Endpoint, 'handle'>

export const endpoint = <Params extends Shape = Shape, Query extends Shape = Shape, Body extends z.ZodType = z.ZodUndefined>(
  definition: Definition<Params, Query, Body>,
): Endpoint =>
  // The adapter below hands each handler exactly what its own schemas parsed.
  definition as unknown as Endpoint

export const bodyLimit = 1024 * 1024

export interface EndpointDeps {
  clock: () => Date
  authenticate: (request: FastifyRequest, now: Date) => Promise<ApiCaller>
  settings: MailDeps['settings']
  rootSecret: Secret
}

const nothing = z.strictObject({})

/** Registers a route. The order of the checks: who, may they, path, query, content type, body. */
export const addEndpoint = (app: FastifyInstance, deps: EndpointDeps, definition: Endpoint): void => {
  const { clock, authenticate, settings, rootSecret } = deps
  const {
    method,
    path,
    access,
    isEndless,
    params: paramsSchema = nothing,
    query: querySchema = nothing,
    body: bodyDoc,
    handle,
  } = definition
  app.route({
    method: method as HTTPMethods,
    url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: bodyDoc?.limit ?? bodyLimit,
    ...(isEndless ? { exposeHeadRoute: false } : {}),
    handler: async (request, reply) => {
      const now = clock()
      const http = getCaller(request.raw)
      const caller = access === 'public' ? anonymous : await authenticate(request, now)
      const params = parsePath(paramsSchema, request.params)
      if (typeof access !== 'string') caller.require(typeof access === 'function' ? access(params as Record<string, never>) : access)
      const query = parse(querySchema, request.query)
      const body = bodyDoc ? parseBody(bodyDoc, request) : undefined
      const answer = await handle({
        params,
        query,
        body,
        caller,
        http,
        change: {
          actor: caller.actor,
          network: http.network,
          requestId: http.requestId,
          notices: {
            settings,
            rootSecret,
            issuerUrl: http.authServer.issuerUrl,
            product: http.authServer.displayName,
            userAgent: request.headers['user-agent'],
          },
        },
        now,
        precondition: preconditionOf(request.headers),
        reauthenticate: () => authenticate(request, clock()),
        address: (local) => http.authServer.pathPrefix + local,
      })
      reply.code(answer.status ?? (answer.body === undefined ? 204 : 200)).header('cache-control', 'no-store')
      if (answer.headers) reply.headers(answer.headers)
      if (answer.version !== undefined) reply.header('etag', `"${answer.version}"`)
      if (method === 'GET' && answer.version !== undefined && !answer.isLive && isKnownVersion(request.headers, answer.version))
        return reply.code(304).send()
      if (answer.body === undefined) return reply.send()
      if (typeof answer.body === 'string' || Buffer.isBuffer(answer.body) || answer.body instanceof Readable) return reply.send(answer.body)
      return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer.body))
    },
  })
}

const anonymous: ApiCaller = { ...withRights([]), actor: 'anonymous', user: undefined }

/** Every bad field named; throws `invalid`. */
const parse = (schema: z.ZodType, value: unknown): unknown => {
  checkText(value)
  const result = schema.safeParse(value)
  if (!result.success) throw new Problem('invalid', { errors: fieldErrors(result.error) })
  return result.data
}

/** A path that names nothing we could have: not found, whatever is wrong with it. */
const parsePath = (schema: z.ZodType, value: unknown): unknown => {
  const result = schema.safeParse(value)
  const isText = (part: unknown) => typeof part === 'string' && !part.includes('\0') && part.isWellFormed()
  if (!result.success || !Object.values(value as object).every(isText)) throw new Problem('not_found')
  return result.data
}

const parseBody = (doc: NonNullable<Endpoint['body']>, request: FastifyRequest): unknown => {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new Problem('unsupported_media_type', { detail: 'send the body without Content-Encoding' })
  const bytes = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
  if (bytes.length === 0) {
    if (doc.isOptional) return parse(doc.schema, {})
    throw new Problem('bad_request', { detail: 'the request has no body' })
  }
  const contentType = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!doc.contentTypes.includes(contentType))
    throw new Problem('unsupported_media_type', { detail: `this takes ${doc.contentTypes.join(' or ')}` })
  const text = decode(bytes)
  return doc.isText ? text : parse(doc.schema, parseJson(text))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

const decode = (bytes: Buffer): string => {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new Problem('bad_request', { detail: 'the body is not UTF-8', cause })
  }
}

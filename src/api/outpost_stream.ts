/**
 * What an outpost that runs by itself asks of core (docs/decisions/0015-standalone-outposts.md). It comes with an API token that may `use`
 * Outposts of its namespace, and whatever it asks is answered for the applications of that Outpost alone.
 */
import type { Readable } from 'node:stream'
import { z } from 'zod'
import type { TokenScope } from '#/identity/api_tokens.ts'
import { Problem } from '#/lib/problem.ts'
import { isUuid, uuidv7 } from '#/lib/uuid.ts'
import { version } from '#/lib/version.ts'
import {
  beatOutpostInstance,
  isOutpostStreamAlive,
  joinOutpostInstance,
  leaveOutpostInstances,
  trimOutpostInstances,
} from '#/model/outpost_instances.ts'
import type { Person } from '#/outpost/core.ts'
import { protocol } from '#/outpost/message.ts'
import { findMachine, findPersonSeen } from '#/outpost/people_of_core.ts'
import { openStream } from '#/outpost/stream.ts'
import { canonicalKind, mayISomewhere } from '#/policy/access.ts'
import { aliveMs } from '#/resources/outpost_beats.ts'
import { mostInstances } from '#/resources/outpost_instances.ts'
import type { ResourceOf } from '#/resources/resource.ts'
import { type ApiCaller, nameOf } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json } from './endpoint.ts'

const named = z.string().max(320).optional().describe('Which Outpost it is, `namespace/name`. Absent: the only one that the token may be.')
const instanceId = z.string().refine(isUuid, 'wants a UUID').describe('Of the process, made by it when it starts.')
const key = z.string().min(1).max(320)

const person = z
  .strictObject({
    id: z.uuid(),
    username: z.string(),
    email: z.string(),
    name: z.string(),
    active: z.boolean(),
    groups: z.array(z.string()),
    attributes: z.record(z.string(), z.unknown()),
  })
  .nullable()

type JoiningProcess = Omit<Parameters<typeof joinOutpostInstance>[1], 'namespace' | 'name'>

const right = { verb: 'use', kind: 'Outpost' } as const

const tag = 'outposts'
const mostStreams = 500

export const outpost_stream = (deps: ApiDeps): Endpoint[] => {
  const { db, log, snapshot, stopping } = deps
  let streams = 0

  /** Throws unless the caller may be that Outpost. */
  const outpostFor = (caller: ApiCaller, wanted: string | undefined): ResourceOf<'Outpost'> => {
    if (!caller.scope) throw new Problem('forbidden', { detail: 'an outpost comes with an API token' })
    if (!mayISomewhere(caller.grants, right)) throw new Problem('forbidden', { detail: `this needs the right to ${nameOf(right)}` })
    if (wanted !== undefined) {
      const [namespace = '', name = ''] = wanted.split('/')
      caller.require({ ...right, namespace })
      const found = snapshot.get('Outpost', namespace, name)
      if (!found) throw new Problem('not_found', { detail: `there is no Outpost ${wanted}` })
      return found
    }
    const own = snapshot.list('Outpost').filter(({ metadata: { namespace } }) => caller.may({ ...right, namespace }))
    const [only, ...others] = own
    if (!only) throw new Problem('not_found', { detail: 'there is no Outpost that this token may be' })
    if (others.length)
      throw new Problem('bad_request', {
        detail: `this token may be several Outposts: say which (${own.slice(0, 10).map(keyOf).join(', ')}${own.length > 10 ? ', …' : ''})`,
      })
    return only
  }

  /** Throws where there are too many of it. */
  const joinOutpost = async ({ metadata: { namespace, name } }: ResourceOf<'Outpost'>, joining: JoiningProcess): Promise<void> => {
    if (!(await joinOutpostInstance(db, { ...joining, namespace, name }, { most: mostInstances, aliveMs })))
      throw new Problem('too_many_requests', {
        detail: `there are ${mostInstances} processes of Outpost ${namespace}/${name} already`,
        retryAfter: 30,
      })
    await trimOutpostInstances(db, { namespace, name }, 2 * mostInstances)
  }

  const applicationsOf = async (outpost: ResourceOf<'Outpost'>) => (await deps.feed()).applications(keyOf(outpost)).applications

  return [
    endpoint({
      method: 'GET',
      path: '/v1/outposts/stream',
      tag,
      summary: 'What an outpost works by, as it changes',
      access: 'signed_in',
      isEndless: true,
      query: z.strictObject({
        outpost: named,
        protocol: z.coerce.number().int().min(0).max(1_000_000).describe('That it speaks.'),
        version: z.string().min(1).max(100).describe('Of its program.'),
        instance: instanceId,
        hostname: z.string().max(255).describe('Of its machine.'),
        after: z
          .string()
          .regex(/^\d{1,18}$/)
          .default('0')
          .describe('`seen` of the last endings it was told.'),
      }),
      answers: {
        200: { description: 'Lines of JSON without end, at least one every few seconds.', contentType: 'application/x-ndjson' },
        403: { description: 'The token may not be that Outpost.' },
        409: { description: 'It speaks another protocol than this server.' },
        429: { description: 'There are too many of this Outpost already.' },
        503: { description: 'This server has as many outposts as it bears.' },
      },
      handle: async ({ query, caller, http, now, reauthenticate }) => {
        const outpost = outpostFor(caller, query.outpost)
        if (query.protocol !== protocol)
          throw new Problem('conflict', {
            detail: `this server (Signet ${version}) speaks protocol ${protocol} with outposts, and the outpost (Signet ${query.version}) protocol ${query.protocol}: bring both to one version`,
          })
        if (streams >= mostStreams)
          throw new Problem('unavailable', { detail: 'this server has no room for another outpost', retryAfter: 5 })
        // Counted before anything is waited for: else many that come at once are each the last one that there is room for.
        streams++
        const ids = { instance_id: query.instance, stream_id: uuidv7(now) }
        const leave = () => leaveOutpostInstances(db, ids).catch(() => {})
        const about = { 'signet.outpost': keyOf(outpost), instance: query.instance, hostname: query.hostname, version: query.version }
        const mayGoOn = async () => {
          try {
            outpostFor(await reauthenticate(), keyOf(outpost))
            return await isOutpostStreamAlive(db, ids, aliveMs)
          } catch (error) {
            if (error instanceof Problem) throw error
            // The database is away: what is known holds.
            return undefined
          }
        }
        const closed = () => {
          streams--
          log.info({ event: 'outpost.disconnected', ...about }, 'an outpost is gone')
          void leave()
        }
        let body: Readable
        try {
          await joinOutpost(outpost, { ...ids, hostname: query.hostname, version: query.version, network: http.network })
          const feed = await deps.feed()
          body = openStream({ feed, log, version, stopping, mayGoOn }, { outpost: keyOf(outpost), after: query.after, closed })
        } catch (error) {
          streams--
          void leave()
          throw error
        }
        log.info({ event: 'outpost.connected', ...about }, 'an outpost is connected')
        if (query.version !== version)
          log.warn({ event: 'outpost.version.differs', ...about, own: version }, 'an outpost has another version than this server')
        if (caller.scope && isWide(caller.scope))
          log.warn({ event: 'outpost.token.wide', ...about }, 'the token of an outpost may do more than an outpost needs')
        // Proxies in between must not keep it back.
        return { headers: { 'content-type': 'application/x-ndjson', 'x-accel-buffering': 'no' }, body }
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/outposts/beat',
      tag,
      summary: 'An outpost says that it is there',
      access: 'signed_in',
      body: {
        schema: z.strictObject({ outpost: named, instance: instanceId, generation: z.string().max(30).nullable() }),
        contentTypes: [json],
      },
      answers: { 204: { description: 'Noted.' }, 409: { description: 'Its stream has ended: begin another one.' } },
      handle: async ({ body, caller }) => {
        const { namespace, name } = outpostFor(caller, body.outpost).metadata
        if (!(await beatOutpostInstance(db, { instance_id: body.instance, namespace, name, generation: body.generation })))
          throw new Problem('conflict', { detail: 'this process has no stream' })
        return {}
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/outposts/person',
      tag,
      summary: 'Who someone is that has signed in at the outpost',
      access: 'signed_in',
      body: { schema: z.strictObject({ outpost: named, id: z.string().refine(isUuid, 'wants a UUID') }), contentTypes: [json] },
      answers: {
        200: {
          description: '`person` is null for whoever is gone, not active, or has no session that came through the outpost.',
          schema: z.strictObject({ person }),
        },
      },
      handle: async ({ body, caller, now }) => {
        const applications = await applicationsOf(outpostFor(caller, body.outpost))
        return { body: shown(await findPersonSeen(db, { user_id: body.id, applications }, now)) }
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/outposts/program',
      tag,
      summary: 'Whose token it is that a program sends to an application of the outpost',
      access: 'signed_in',
      body: { schema: z.strictObject({ outpost: named, application: key, token: z.string().min(1).max(400) }), contentTypes: [json] },
      answers: {
        200: { description: '`person` is null where the token is not for that application.', schema: z.strictObject({ person }) },
      },
      handle: async ({ body, caller, now }) => {
        const applications = await applicationsOf(outpostFor(caller, body.outpost))
        const isOwn = applications.some((application) => application.key === body.application)
        return { body: shown(isOwn ? await findMachine(db, { token: body.token, key: body.application }, now) : undefined) }
      },
    }),
  ]
}

const keyOf = ({ metadata }: ResourceOf<'Outpost'>): string => `${metadata.namespace}/${metadata.name}`

/** Whoever takes over an outpost has its token. */
const isWide = ({ kinds, verbs }: TokenScope): boolean =>
  verbs.some((verb) => verb !== right.verb) || kinds.some((kind) => canonicalKind(kind) !== canonicalKind(right.kind))

const shown = (found: Person | undefined) => ({ person: found ?? null })

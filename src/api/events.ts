import { z } from 'zod'
import { pageOf, parseCursor } from '#/identity/page.ts'
import { type EventRow, listEvents } from '#/model/events.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint } from './endpoint.ts'
import { listOf, listQuery } from './list.ts'

const time = z.iso
  .datetime({ offset: true, error: 'wants a time such as 2030-01-31T12:00:00Z (RFC 3339)' })
  .refine((text) => !Number.isNaN(Date.parse(text)), 'is no time')

export const eventSchema = z.strictObject({
  id: z.uuid(),
  time: z.iso.datetime(),
  action: z.string().describe('Dotted: `user.created`.'),
  severity: z.enum(['info', 'warning', 'error']),
  actor: z.string().describe('Username, or the name of a token or program.'),
  target: z.strictObject({ kind: z.string(), name: z.string() }).nullable(),
  client: z.string().nullable().describe('client_id.'),
  network: z.string().nullable().describe('Address it came from.'),
  requestId: z.string().nullable(),
  changes: z.record(z.string(), z.unknown()).nullable().describe('Field → before and after.'),
  data: z.record(z.string(), z.unknown()).nullable(),
})

export const shownEvent = (row: EventRow) => ({
  id: row.event_id,
  time: row.time,
  action: row.action,
  severity: row.severity,
  actor: row.actor,
  target: row.target_kind === null ? null : { kind: row.target_kind, name: row.target_name ?? '' },
  client: row.client,
  network: row.network,
  requestId: row.request_id,
  changes: row.changes,
  data: row.data,
})

export const events = ({ db }: ApiDeps): Endpoint[] => [
  endpoint({
    method: 'GET',
    path: '/v1/events',
    tag: 'events',
    summary: 'Read what happened, newest first',
    access: { verb: 'list', kind: 'events' },
    query: z.strictObject({
      ...listQuery,
      since: time.optional().describe('Not before this time.'),
      until: time.optional().describe('Before this time.'),
      action: z.string().min(1).max(100).optional().describe('This action; one that ends in `.` is a prefix.'),
      actor: z.string().min(1).max(500).optional().describe('Of this actor.'),
      q: z.string().max(200).optional().describe('Part of action, actor, target, client or network.'),
      order: z.enum(['asc', 'desc']).default('desc').describe('`desc`: newest first.'),
    }),
    answers: { 200: { description: 'A page of events.', schema: listOf(eventSchema) } },
    handle: async ({ query: { cursor, limit, since, until, ...filter } }) => {
      const [at, event_id] = parseCursor(cursor, ['time', 'uuid']) ?? []
      const rows = await listEvents(db, {
        ...filter,
        since: since === undefined ? undefined : new Date(since),
        until: until === undefined ? undefined : new Date(until),
        after: at === undefined || event_id === undefined ? undefined : { time: new Date(at), event_id },
        limit: limit + 1,
      })
      return { body: pageOf(rows, limit, (row) => [row.time.toISOString(), row.event_id], shownEvent) }
    },
  }),
]

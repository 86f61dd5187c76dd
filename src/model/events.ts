/** `events`: what happened, written once and never changed; a partition a month. */
import { type Db, sql } from '#/lib/sql.ts'
import type { Statement } from '#/lib/statement.ts'

export interface EventRow {
  event_id: string
  time: Date
  action: string
  severity: 'info' | 'warning' | 'error'
  actor: string
  target_kind: string | null
  target_name: string | null
  client: string | null
  network: string | null
  request_id: string | null
  changes: Record<string, unknown> | null
  data: Record<string, unknown> | null
}

export const insertEvents = (events: EventRow[]): Statement => sql`
  insert into events (event_id, time, action, severity, actor, target_kind, target_name, client, network, request_id, changes, data)
  select event_id, time, action, severity, actor, target_kind, target_name, client, network, request_id, changes, data
    from jsonb_populate_recordset(null::events, ${JSON.stringify(events)})`

export interface EventFilter {
  since?: Date | undefined
  until?: Date | undefined
  /** Exact; one that ends in `.` is a prefix. */
  action?: string | undefined
  actor?: string | undefined
  /** Found in action, actor, target, client or network, literally and without regard to case. */
  q?: string | undefined
  order?: 'asc' | 'desc' | undefined
  /** The last event seen. */
  after?: { time: Date; event_id: string } | undefined
  limit: number
}

const likeLiteral = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** Newest first unless `order` says asc. `until` is exclusive. */
export const listEvents = (db: Db, filter: EventFilter): Promise<EventRow[]> => {
  const { since = null, until = null, limit } = filter
  const prefix = filter.action?.endsWith('.') ? filter.action : null
  const action = prefix === null ? (filter.action ?? null) : null
  const actor = filter.actor ?? null
  const q = filter.q ? likeLiteral(filter.q) : null
  const afterTime = filter.after?.time ?? null
  const afterId = filter.after?.event_id ?? null
  return filter.order === 'asc'
    ? db.any<EventRow>(sql`
        select event_id, time, action, severity, actor, target_kind, target_name, client, network, request_id, changes, data
          from events
         where (${since}::timestamptz is null or time >= ${since})
           and (${until}::timestamptz is null or time < ${until})
           and (${action}::text is null or action = ${action})
           and (${prefix}::text is null or starts_with(action, ${prefix}))
           and (${actor}::text is null or actor = ${actor})
           and (${q}::text is null or concat_ws(' ', action, actor, target_kind, target_name, client, network) ilike ${q})
           and (${afterTime}::timestamptz is null or (time, event_id) > (${afterTime}, ${afterId}::uuid))
         order by time, event_id
         limit ${limit}`)
    : db.any<EventRow>(sql`
        select event_id, time, action, severity, actor, target_kind, target_name, client, network, request_id, changes, data
          from events
         where (${since}::timestamptz is null or time >= ${since})
           and (${until}::timestamptz is null or time < ${until})
           and (${action}::text is null or action = ${action})
           and (${prefix}::text is null or starts_with(action, ${prefix}))
           and (${actor}::text is null or actor = ${actor})
           and (${q}::text is null or concat_ws(' ', action, actor, target_kind, target_name, client, network) ilike ${q})
           and (${afterTime}::timestamptz is null or (time, event_id) < (${afterTime}, ${afterId}::uuid))
         order by time desc, event_id desc
         limit ${limit}`)
}

export interface AttemptEvents {
  /** Since the attempt began. */
  since: Date
  attempt: string
  /** Names under which the person may stand there. */
  users: string[]
  flow: string
  limit: number
}

/** Those of one attempt of a flow, in order: found by whom they tell of, or by the flow that failed. */
export const listEventsOfAttempt = (db: Db, { since, attempt, users, flow, limit }: AttemptEvents): Promise<EventRow[]> =>
  db.any<EventRow>(sql`
    select event_id, time, action, severity, actor, target_kind, target_name, client, network, request_id, changes, data
      from events
     where time >= ${since}
       and ((target_kind = 'User' and target_name = any(${users})) or (target_kind = 'Flow' and target_name = ${flow}))
       and data->>'attempt' = ${attempt}
     order by time, event_id
     limit ${limit}`)

/** Of one target, newest first, before the last one seen. */
export const listEventsOfTarget = (
  db: Db,
  { kind, name, since, before }: { kind: string; name: string; since: Date; before: { time: Date; event_id: string } | undefined },
  limit: number,
): Promise<EventRow[]> => {
  const time = before?.time ?? null
  const event_id = before?.event_id ?? null
  return db.any<EventRow>(sql`
    select event_id, time, action, severity, actor, target_kind, target_name, client, network, request_id, changes, data
      from events
     where target_kind = ${kind}
       and target_name = ${name}
       and time >= ${since}
       and time <= coalesce(${time}::timestamptz, 'infinity')
       and (${time}::timestamptz is null or (time, event_id) < (${time}, ${event_id}::uuid))
     order by time desc, event_id desc
     limit ${limit}`)
}

/** Makes the partitions of this month and of `months` after it; answers how many were missing. */
export const createEventPartitions = async (db: Db, now: Date, months = 3): Promise<number> =>
  (await db.one<{ made: number }>(sql`select create_event_partitions(${now.toISOString().slice(0, 10)}::date, ${months}::integer) as made`))
    .made

/** Removes the months that ended before `keep_from`; answers the names of their partitions. */
export const dropEventPartitions = async (db: Db, keep_from: Date): Promise<string[]> =>
  (await db.one<{ dropped: string[] }>(sql`select drop_event_partitions(${keep_from}::timestamptz) as dropped`)).dropped

import { type Db, lastly } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { type EventRow, insertEvents } from '#/model/events.ts'

/** What a change did: JSON pointer into the thing → its value before and after. Never a secret. */
export type Changes = Record<string, { before?: unknown; after?: unknown }>

export interface NewEvent {
  /** Dotted, `user.created`. */
  action: string
  severity?: 'info' | 'warning' | 'error'
  /** Username, or the name of a token or program. */
  actor: string
  target?: { kind: string; name: string }
  /** client_id. */
  client?: string
  network?: string
  requestId?: string
  changes?: Changes
  data?: Record<string, unknown>
}

const largestJson = 64 * 1_024

/** A value of jsonb: bounded, and without the characters PostgreSQL has no place for (NUL, halves of characters). */
const bounded = (value: Record<string, unknown> | undefined): Record<string, unknown> | null => {
  if (value === undefined) return null
  const json = JSON.stringify(value)
  if (json.length > largestJson) return { truncated: true, bytes: json.length, fields: Object.keys(value).slice(0, 100) }
  // JSON.stringify writes both as escapes; taking every escape in turn leaves an escaped backslash before them alone.
  const clean = json.replace(/\\(u0000|ud[89a-f][0-9a-f]{2}|.)/g, (found, what: string) => (what.length > 1 ? '\ufffd' : found))
  return clean === json ? value : (JSON.parse(clean) as Record<string, unknown>)
}

const short = (value: string | undefined, length: number): string | null =>
  value?.replaceAll('\0', '\ufffd').slice(0, length).toWellFormed() ?? null

/** Of transactions that have not ended. */
const gathered = new WeakMap<Db, EventRow[]>()
const gatheredAtMost = 100

/** Writes an event; called inside the transaction of the change it tells of, with which it is written at the end. Answers its id. */
export const recordEvent = async (db: Db, event: NewEvent, now: Date): Promise<string> => {
  const event_id = uuidv7(now)
  const row: EventRow = {
    event_id,
    time: now,
    action: event.action,
    severity: event.severity ?? 'info',
    actor: short(event.actor, 500) || 'unknown',
    target_kind: short(event.target?.kind, 100),
    target_name: short(event.target?.name, 1_000),
    client: short(event.client, 300),
    network: short(event.network, 64),
    request_id: short(event.requestId, 200),
    changes: bounded(event.changes),
    data: bounded(event.data),
  }
  const rows = gathered.get(db) ?? []
  rows.push(row)
  if (rows.length === 1) {
    if (db.lastly) gathered.set(db, rows)
    await lastly(db, () => insertEvents(rows))
  } else if (rows.length > gatheredAtMost) await db.run(insertEvents(rows.splice(0, gatheredAtMost)))
  return event_id
}

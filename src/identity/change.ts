import { recordEvent } from '#/events/record.ts'
import type { Db } from '#/lib/sql.ts'
import type { MailDeps } from './mail.ts'

/** Who changes something, and from where. */
export interface Change {
  /** Username, or the name of a token or program. */
  actor: string
  network?: string | undefined
  requestId?: string | undefined
  /** Absent: nobody is told by mail. */
  notices?: Notices | undefined
}

/** With what people are told of a change to their account, and where. */
export interface Notices extends MailDeps {
  issuerUrl: string
  /** What people read of the AuthServer. */
  product: string | undefined
  /** Of whoever makes the change. */
  userAgent: string | undefined
}

type Event = Parameters<typeof recordEvent>[1]

/** The event of a change: belongs into its transaction. */
export const recordChange = (
  db: Db,
  { actor, network, requestId }: Change,
  event: Pick<Event, 'action' | 'target' | 'changes' | 'data'>,
  now: Date,
): Promise<unknown> =>
  recordEvent(
    db,
    { actor, ...(network === undefined ? {} : { network }), ...(requestId === undefined ? {} : { requestId }), ...event },
    now,
  )

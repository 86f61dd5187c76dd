/** What is known of a person, as JSON in pieces: however much there is, no more than a page of it is in memory. Never a secret. */
import { z } from 'zod'
import { eventsOfUser } from '#/events/of_user.ts'
import { listFactors } from '#/identity/authenticators.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import { listDevices } from '#/identity/remembered_devices.ts'
import { listSessions, type SessionOfPerson } from '#/identity/sessions.ts'
import type { Caller } from '#/lib/http.ts'
import { listConsents } from '#/model/consents.ts'
import type { EventRow } from '#/model/events.ts'
import { listApplications } from '#/resources/applications.ts'
import type { ApiDeps } from './deps.ts'
import { consentSchema, deviceSchema, factorSchema, sessionSchema, shownConsent, shownUser, userSchema } from './users.ts'

const mostSessions = 10_000
const mostEvents = 5_000
const pageSize = 200

const nullable = z.string().nullable()

export const ownDataSchema = z.strictObject({
  exportedAt: z.iso.datetime(),
  issuer: z.string(),
  profile: userSchema,
  groups: z.array(z.string()).describe('All that they are in, those above theirs too.'),
  sessions: z
    .array(sessionSchema.extend({ isCurrent: z.boolean() }))
    .describe(`Live ones of every AuthServer, the newest first: at most ${mostSessions}.`),
  rememberedDevices: z.array(deviceSchema),
  factors: z.array(factorSchema),
  consents: z.array(consentSchema),
  applications: z
    .array(z.strictObject({ name: z.string(), description: z.string().optional(), url: z.string() }))
    .describe('That they may use at this AuthServer.'),
  events: z
    .array(
      z.strictObject({
        id: z.uuid(),
        time: z.iso.datetime(),
        action: z.string(),
        severity: z.enum(['info', 'warning', 'error']),
        actor: nullable.describe('Their own name at the time; null: somebody else.'),
        client: nullable,
        network: nullable.describe('Null when it was somebody else.'),
        changes: z.record(z.string(), z.unknown()).nullable(),
        data: z.record(z.string(), z.unknown()).nullable(),
      }),
    )
    .describe(`What happened to the account, the newest first: the last ${mostEvents}.`),
})

export async function* ownData(
  deps: Pick<ApiDeps, 'db' | 'log' | 'snapshot'>,
  { session, http }: { session: SessionOfPerson; http: Caller },
  now: Date,
): AsyncGenerator<string> {
  const { db } = deps
  const { user, uid } = session
  const { authServer, network } = http
  const applications = await listApplications(deps, { user, authServer, network })
  const head = {
    exportedAt: now,
    issuer: authServer.issuerUrl,
    profile: shownUser(user),
    groups: await effectiveGroups(db, user.id),
    rememberedDevices: await listDevices(db, user.id, now),
    factors: await listFactors(db, user.id),
    consents: (await listConsents(db, user.id)).map(shownConsent),
    applications: applications.map(({ name, description, url }) => ({ name, description, url })),
  }
  yield JSON.stringify(head).slice(0, -1)
  yield* member('sessions', sessionsOf(deps, { user_id: user.id, uid }, now))
  yield* member('events', eventsOf(deps, { username: user.username, since: user.createdAt }))
  yield '}\n'
}

async function* member(name: string, items: AsyncIterable<object>): AsyncGenerator<string> {
  yield `,${JSON.stringify(name)}:[`
  let between = ''
  for await (const item of items) {
    yield between + JSON.stringify(item)
    between = ','
  }
  yield ']'
}

async function* sessionsOf({ db }: Pick<ApiDeps, 'db'>, { user_id, uid }: { user_id: string; uid: string }, now: Date) {
  let cursor: string | undefined
  for (let seen = 0; seen < mostSessions; seen += pageSize) {
    const { items, next } = await listSessions(db, user_id, { cursor, limit: pageSize }, now)
    for (const item of items) yield { ...item, isCurrent: item.id === uid }
    if (next === null) return
    cursor = next
  }
}

async function* eventsOf({ db }: Pick<ApiDeps, 'db'>, of: { username: string; since: Date }) {
  for await (const row of eventsOfUser(db, of, mostEvents)) yield shownEvent(row)
}

/** Who else it was is nobody's to take along, nor where they were. */
const shownEvent = ({ event_id, time, action, severity, actor, target_name, client, network, changes, data }: EventRow) => {
  const isOwn = actor === target_name
  return { id: event_id, time, action, severity, actor: isOwn ? actor : null, client, network: isOwn ? network : null, changes, data }
}

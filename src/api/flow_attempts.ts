import { z } from 'zod'
import { type Inspection, inspectAttempt, type Summary, stageStates, summaryOf } from '#/flow/inspection.ts'
import { pageOf, parseCursor, renderCursor } from '#/identity/page.ts'
import { findUser, findUserByLogin } from '#/identity/users.ts'
import { factorTypes, stageNames } from '#/kinds/flow_stages.ts'
import { Problem } from '#/lib/problem.ts'
import { type EventRow, listEventsOfAttempt } from '#/model/events.ts'
import { attemptIdOf, findFlowAttemptById, type InspectedFlowAttempt, walkFlowAttempts } from '#/model/flow_attempts.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint } from './endpoint.ts'
import { eventSchema, shownEvent } from './events.ts'
import { listOf, listQuery } from './list.ts'

const text = z.string().nullable()
const states = ['running', 'passed', 'denied'] as const

const attemptSchema = z.strictObject({
  id: z.string().describe('Names it here and in events; it can not be continued with it.'),
  flow: z.string(),
  issuer: z.string(),
  state: z.enum(states),
  reason: text.describe('Why it was denied.'),
  stage: z.enum(stageNames).nullable().describe('The current one.'),
  user: z.strictObject({
    id: z.uuid().nullable(),
    name: text,
    isKnown: z.boolean().describe('They have proven something. Before that `name` is what was typed, or whom it was begun for.'),
  }),
  clientId: text.describe('client_id.'),
  network: text.describe('Where it was begun.'),
  userAgent: text,
  amr: z.array(z.string()).describe('What was proven so far (RFC 8176).'),
  acr: text.describe('What that is worth.'),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().describe('From then on nobody sees it.'),
})

const inspectedSchema = attemptSchema.extend({
  canGoOn: z.boolean().describe('False: it is over, or its flow or the password of the person has changed.'),
  stages: z
    .array(
      z.strictObject({
        stage: z.enum(stageNames),
        state: z
          .enum(stageStates)
          .describe(
            '`passed`: it had nothing to ask. `left_out`: by its `when`. `to_be_left_out`, `broken`: what its `when` comes to as things are now. `ended_here`: the attempt was denied.',
          ),
        reason: text.describe('Why its `when` fails.'),
      }),
    )
    .describe('In order; empty when the flow has changed or is gone. Of an attempt that is over they are those of the flow as it is now.'),
  facts: z.strictObject({
    factors: z.array(z.enum(factorTypes)).describe('Types of second factors that were proven.'),
    factorSpared: z.boolean().describe('None was asked for, since their device is remembered.'),
    authTime: z.iso.datetime().nullable().describe('When something was last proven.'),
    provenEmail: text.describe('Address whose mailbox was shown to be theirs.'),
    prompted: z.array(z.string()).describe('Names of the fields that were filled in.'),
    invitedEmail: text.describe('Address that the invitation went to.'),
    invitedGroups: z.array(z.string()),
    acceptedTerms: text.describe('Version.'),
    agreedScopes: z.array(z.string()),
    onSession: z.boolean().describe('Begun on a session that lacks only a factor.'),
  }),
  context: z.strictObject({
    clientName: text,
    acr_values: z.array(z.string()).describe('What it should be worth: one of these.'),
    requiredFactors: z.array(z.enum(factorTypes)).nullable(),
    scopes: z.array(z.string()).describe('What the person is asked to agree to.'),
    claims: z.array(z.string()),
    resources: z.record(z.string(), z.array(z.string())),
  }),
  events: z.array(eventSchema).nullable().describe('The first of it, in order. Null: you may not list events.'),
})

const shownSummary = ({ client, ...summary }: Summary) => ({ ...summary, clientId: client?.client_id ?? null })

const shown = ({ stages, facts, context, canGoOn, ...summary }: Inspection, events: EventRow[] | undefined) => ({
  ...shownSummary(summary),
  canGoOn,
  stages: stages.map(({ stage, state, reason = null }) => ({ stage, state, reason })),
  // Field by field, so that what a stage keeps one day is not shown unless someone says so.
  facts: {
    factors: facts.factors ?? [],
    factorSpared: facts.factor_spared ?? false,
    authTime: facts.auth_time === undefined ? null : new Date(facts.auth_time * 1_000),
    provenEmail: facts.proven_email ?? null,
    prompted: Object.keys(facts.prompted ?? {}),
    invitedEmail: facts.invitation?.email ?? null,
    invitedGroups: facts.invitation?.groups ?? [],
    acceptedTerms: facts.accepted_terms ?? null,
    agreedScopes: facts.consent?.scopes ?? [],
    onSession: facts.from_session !== undefined,
  },
  context: {
    clientName: context.client?.name ?? null,
    acr_values: context.acr_values ?? [],
    requiredFactors: context.required_factors ?? null,
    scopes: context.scopes ?? [],
    claims: context.claims ?? [],
    resources: context.resources ?? {},
  },
  events: events?.map(shownEvent) ?? null,
})

/** Attempts looked at for one page. */
const steps = 5_000
const mostEvents = 50

const tag = 'flow-attempts'

export const flow_attempts = (deps: ApiDeps): Endpoint[] => {
  const { db, snapshot } = deps

  /** Under whatever name the person came. */
  const eventsOf = async (row: InspectedFlowAttempt, { id, flow, user }: Summary): Promise<EventRow[]> => {
    const person = user.id === null ? undefined : await findUser(db, user.id)
    const names = [user.name, person?.username, person?.email].filter((name) => typeof name === 'string')
    return listEventsOfAttempt(db, { since: row.created_at, attempt: id, users: [...new Set(names)], flow, limit: mostEvents })
  }

  return [
    endpoint({
      method: 'GET',
      path: '/v1/flow-attempts',
      tag,
      summary: 'List who goes through a flow now, the newest first',
      access: { verb: 'list', kind: 'flow-attempts' },
      query: z.strictObject({
        ...listQuery,
        state: z.enum(states).optional(),
        flow: z.string().min(1).max(253).optional().describe('Name of the flow.'),
        user: z.string().min(1).max(254).optional().describe('Who typed this name, or is whom it names: username, e-mail address or id.'),
      }),
      answers: {
        200: {
          description: 'Until they expire, over or not. A page may be short, or even empty, and still have a `next`.',
          schema: listOf(attemptSchema),
        },
      },
      handle: async ({ query: { cursor, limit, state, flow, user }, now }) => {
        const [at, id] = parseCursor(cursor, ['time', 'text']) ?? []
        const person = user === undefined ? undefined : ((await findUser(db, user)) ?? (await findUserByLogin(db, user)))
        const walked = await walkFlowAttempts(
          db,
          {
            state,
            flow_name: flow,
            user: user === undefined ? undefined : { name: user.toLowerCase(), user_id: person?.id },
            after: at === undefined || id === undefined ? undefined : { created_at: new Date(at), id },
            steps,
            limit: limit + 1,
          },
          now,
        )
        const rows = walked.flatMap((row) => (row.attempt_hash === null ? [] : [row]))
        const page = pageOf(
          rows,
          limit,
          (row) => [row.created_at.toISOString(), attemptIdOf(row)],
          (row) => shownSummary(summaryOf({ snapshot }, row)),
        )
        const [last] = walked
        if (page.next !== null || !last?.walked_at || !last.walked_to) return { body: page }
        return { body: { ...page, next: renderCursor([last.walked_at.toISOString(), attemptIdOf({ attempt_hash: last.walked_to })]) } }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/flow-attempts/{id}',
      tag,
      summary: 'See where someone stands in a flow, and what the stages to come would do',
      access: { verb: 'get', kind: 'flow-attempts' },
      // What has another form names none.
      params: z.strictObject({ id: z.string().regex(/^[0-9a-f]{32}$/) }),
      answers: { 200: { description: 'The attempt.', schema: inspectedSchema }, 404: { description: 'There is none, or it has expired.' } },
      handle: async ({ params: { id }, caller, now }) => {
        const row = await findFlowAttemptById(db, id, now)
        if (!row) throw new Problem('not_found')
        const inspection = await inspectAttempt(deps, row, now)
        const events = caller.may({ verb: 'list', kind: 'events' }) ? await eventsOf(row, inspection) : undefined
        return { body: shown(inspection, events) }
      },
    }),
  ]
}

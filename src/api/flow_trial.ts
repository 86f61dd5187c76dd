import { z } from 'zod'
import { askedFields, dryRun, type End, type ForeseenStage } from '#/flow/dry_run.ts'
import { findFlow, isForSignedIn } from '#/flow/flows.ts'
import type { Context, Facts } from '#/flow/stage.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import { findUser, findUserByLogin, type User } from '#/identity/users.ts'
import { factorTypes, stageNames } from '#/kinds/flow_stages.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { mayISomewhere, type Right } from '#/policy/access.ts'
import { acrValues, wantedAcrs } from '#/policy/acr.ts'
import { decideAccess } from '#/policy/application_access.ts'
import { accessRules } from '#/resources/application_rules.ts'
import type { ApiCaller } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json } from './endpoint.ts'

const body = z.strictObject({
  user: z.string().min(1).max(800).describe('Username, e-mail address or id of the person.'),
  network: z
    .union([z.ipv4(), z.ipv6()], { error: 'wants an IP address' })
    .optional()
    .describe('Address they come from. Absent: none, of which nothing is known.'),
  userAgent: z.string().max(500).optional().describe('User agent of their browser.'),
  locales: z.array(z.string().min(1).max(35)).max(10).default([]).describe('Languages of their browser, best first.'),
  client: z.string().min(1).max(300).optional().describe('client_id of the client they come from, whose policy counts.'),
  acr_values: z.array(z.string().min(1).max(100)).max(10).default([]).describe('What the client asks for.'),
  amr: z
    .array(z.enum(['pwd', 'otp', 'mfa', 'hwk', 'swk', 'user']))
    .max(6)
    .default([])
    .describe('What they have proven already, on a session that they have (RFC 8176). Empty: they come without one.'),
  factor: z.enum(factorTypes).optional().describe('What they prove it by, where they have a choice. Absent: the first they can.'),
  authServer: z
    .string()
    .regex(/^[a-z0-9.-]{1,253}\/[a-z0-9.-]{1,253}$/, 'wants namespace/name')
    .optional()
    .describe('AuthServer at whose address they are, as `namespace/name`. Absent: the one that is called.'),
})

const text = z.string().nullable()

const answer = z.strictObject({
  flow: z.strictObject({ namespace: z.string(), name: z.string() }).describe('The Flow that answered to the name.'),
  user: z.string().describe('Username.'),
  stages: z
    .array(
      z.strictObject({
        stage: z.enum(stageNames),
        turn: z
          .enum(['comes', 'left_out', 'broken', 'not_reached'])
          .describe('`broken`: its `when` fails. `not_reached`: the flow ends before.'),
        when: text.describe('Its condition, as it is written.'),
        outcome: z
          .enum(['asked', 'passed', 'stuck', 'denied'])
          .nullable()
          .describe('Of one that comes. `passed`: nothing is asked. `stuck`: it asks what the person has no answer to.'),
        asks: z.array(z.string()).describe('Names of what is asked; a passkey as `passkey`, a mailed link as `link`.'),
        factors: z.array(z.enum(factorTypes)).describe('Second factors that the person can use here.'),
        reason: text.describe('Why it is broken, stuck or denied.'),
      }),
    )
    .describe('In order.'),
  end: z.strictObject({
    kind: z.enum(['signed_in', 'passed', 'denied', 'stuck', 'broken']).describe('`passed`: through, without a sign-in among the stages.'),
    acr: text.describe('What the session is worth.'),
    amr: z.array(z.string()),
    wanted: z.array(z.string()).describe('What it should be worth: one of these. Empty: anything.'),
    requiredFactors: z
      .array(z.enum(factorTypes))
      .nullable()
      .describe('Second factors of which one must have been proven. Null: none need be.'),
    isEnough: z.boolean().describe('It is both.'),
    letsIn: z
      .boolean()
      .nullable()
      .describe(
        'Whether the Applications of the client let the person in. Null: they do not get so far, come without a client, or you may not list Applications.',
      ),
    reason: text.describe('Such as `no_password`, `inactive`, `locked_out`, or the reason that the flow denies with.'),
    retryAfter: z.int().nullable().describe('Seconds until the person is not locked out any more.'),
    field: text.describe('The condition that fails: `spec.stages[1].when`.'),
  }),
})

type Answer = z.input<typeof answer>

const shownStage = ({ stage, when, turn, outcome, failed }: ForeseenStage): Answer['stages'][number] => ({
  stage,
  turn,
  when: when ?? null,
  outcome: outcome?.kind ?? null,
  asks: outcome && 'ask' in outcome ? askedFields(outcome.ask) : [],
  factors: outcome?.kind === 'asked' ? [...(outcome.factors ?? [])] : [],
  reason: outcome && 'reason' in outcome ? outcome.reason : (failed ?? null),
})

const shownEnd = (end: End, { acr_values: wanted = [], required_factors }: Context): Omit<Answer['end'], 'letsIn'> => ({
  kind: end.kind,
  acr: end.kind === 'signed_in' ? end.acr : null,
  amr: end.kind === 'signed_in' ? end.amr : [],
  wanted,
  requiredFactors: required_factors ?? null,
  isEnough: end.kind === 'signed_in' ? end.isEnough : wanted.length === 0 && required_factors === undefined,
  reason: 'reason' in end ? end.reason : null,
  retryAfter: (end.kind === 'stuck' ? end.retryAfter : undefined) ?? null,
  field: end.kind === 'broken' ? end.field : null,
})

/** What is named in the body. Whoever may read such a thing nowhere hears that; others, that it is not there. */
const named = <Found>(
  caller: ApiCaller,
  found: Found | undefined,
  { field, right, namespaceOf }: { field: string; right: Omit<Right, 'namespace'>; namespaceOf: (found: Found) => string },
): Found => {
  if (found === undefined && mayISomewhere(caller.grants, right))
    throw new Problem('invalid', { errors: [{ pointer: `/${field}`, detail: 'is not there' }] })
  return caller.requireOfFound(found, right, namespaceOf)
}

export const flow_trial = (deps: ApiDeps): Endpoint[] => {
  const { db, snapshot } = deps

  const authServerOf = (caller: ApiCaller, name: string | undefined, called: AuthServerRef): AuthServerRef => {
    if (name === undefined) return called
    const [namespace = '', server = ''] = name.split('/')
    const right = { verb: 'get', kind: 'AuthServer' } as const
    return named(caller, snapshot.findAuthServer(namespace, server), {
      field: 'authServer',
      right,
      namespaceOf: (found) => found.namespace,
    })
  }

  /** What a client of this id tells the stages, and what its policy demands. */
  const clientOf = (caller: ApiCaller, client_id: string, { namespace, name }: AuthServerRef) => {
    const found = named(caller, snapshot.clientById(namespace, name, client_id), {
      field: 'client',
      right: { verb: 'get', kind: 'AuthClient' },
      namespaceOf: ({ resource }) => resource.metadata.namespace,
    })
    const { metadata, spec } = found.resource
    return { client: { client_id, name: spec.displayName ?? metadata.name }, labels: metadata.labels, policy: found.policy }
  }

  const letsIn = async (
    authServer: AuthServerRef,
    { user, client, network }: { user: User; client: { client_id: string; name: string; labels: object }; network: string | undefined },
  ): Promise<boolean> => {
    const groups = await effectiveGroups(db, user.id)
    const shown = { name: client.name, clientId: client.client_id, labels: client.labels }
    const rules = accessRules(snapshot, authServer).get(client.client_id) ?? []
    return rules.every((rule) => decideAccess(rule, { user, groups, client: shown, network }).kind === 'allowed')
  }

  return [
    endpoint({
      method: 'POST',
      path: '/v1/flows/{name}/try',
      tag: 'flows',
      summary: 'See what a flow would ask of a person, and how it would end; nobody is asked, nothing is written or sent',
      access: 'signed_in',
      params: z.strictObject({ name: z.string() }),
      body: { schema: body, contentTypes: [json] },
      answers: {
        200: { description: 'Each stage, and the end, if the person answers as well as they can.', schema: answer },
        403: {
          description:
            'It takes the rights to get the Flow and the user, to list credentials, and to get the AuthClient and the AuthServer that are named.',
        },
        404: { description: 'There is no such flow.' },
        422: { description: 'A field is wrong, or what it names is not there.' },
      },
      handle: async ({ params, body: { user: login, factor, ...wanted }, caller, http, now }) => {
        const authServer = authServerOf(caller, wanted.authServer, http.authServer)
        const flow = caller.requireOfFound(
          findFlow(snapshot, authServer, params.name),
          { verb: 'get', kind: 'Flow' },
          (found) => found.namespace,
        )
        caller.require({ verb: 'list', kind: 'credentials' })
        const user = named(caller, (await findUser(db, login)) ?? (await findUserByLogin(db, login)), {
          field: 'user',
          right: { verb: 'get', kind: 'users' },
          namespaceOf: ({ metadata }) => metadata.namespace,
        })
        const { client, labels = {}, policy } = wanted.client === undefined ? {} : clientOf(caller, wanted.client, authServer)
        const acr_values = wantedAcrs(policy?.acr ?? acrValues[0], wanted.acr_values).values
        const context: Context = {
          ...(client ? { client } : {}),
          ...(acr_values.length ? { acr_values } : {}),
          ...(policy?.requiredFactors ? { required_factors: [...policy.requiredFactors] } : {}),
          user: { user_id: user.id, name: user.name ?? user.username },
        }
        const known = { user_id: user.id, username: user.username }
        const facts: Facts = wanted.amr.length
          ? { ...known, amr: wanted.amr, auth_time: Math.floor(now.getTime() / 1_000) }
          : isForSignedIn(flow)
            ? known
            : {}
        const request = {
          authServer,
          browser: undefined,
          session: undefined,
          network: wanted.network ?? '',
          userAgent: wanted.userAgent,
          requestId: http.requestId,
          locales: wanted.locales,
        }
        const { stages, end } = await dryRun(deps, { flow, candidate: { user, factor }, facts, context, request, now })
        const isAsked = end.kind === 'signed_in' && client !== undefined && caller.may({ verb: 'list', kind: 'Application' })
        const shown: Answer = {
          flow: { namespace: flow.namespace, name: flow.name },
          user: user.username,
          stages: stages.map(shownStage),
          end: {
            ...shownEnd(end, context),
            letsIn: isAsked ? await letsIn(authServer, { user, client: { ...client, labels }, network: wanted.network }) : null,
          },
        }
        return { body: shown }
      },
    }),
  ]
}

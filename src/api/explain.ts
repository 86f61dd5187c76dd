import { z } from 'zod'
import { effectiveGroups } from '#/identity/groups.ts'
import { findUser, findUserByLogin } from '#/identity/users.ts'
import { Problem } from '#/lib/problem.ts'
import { publicPattern } from '#/outpost/decision.ts'
import { waysToRead } from '#/outpost/readings.ts'
import { decideAccess } from '#/policy/application_access.ts'
import { clientOfApplication } from '#/resources/outpost_client.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint } from './endpoint.ts'

const text = z.string().nullable()

const answer = z.strictObject({
  application: z.strictObject({ namespace: z.string(), name: z.string(), displayName: z.string() }),
  user: z.string().describe('Username.'),
  isAllowed: z.boolean().describe('Whether the request passes once the person is signed in.'),
  decision: z
    .enum(['public', 'allowed', 'refused', 'closed'])
    .describe('`public`: anyone may ask for this path. `closed`: the settings of the application are wrong, so nobody gets in.'),
  rule: text.describe(
    'The field that decides, such as `spec.access.groups` or `spec.proxy.publicPaths[0]`. Null: there is no rule, everyone may.',
  ),
  value: text.describe('What of it: the group, the name, the pattern, the expression.'),
  reason: text.describe('Why it is refused or closed.'),
  groups: z.array(z.string()).describe('Every group the person is in, by itself or through others.'),
  acr: text.describe('The least a sign-in must be worth. Null: the application has no client.'),
  requiredFactors: z.array(z.string()).nullable().describe('Second factors of which one must have been proven. Null: none need be.'),
})

type Answer = z.input<typeof answer>

export const explain = ({ db, snapshot }: ApiDeps): Endpoint[] => [
  endpoint({
    method: 'GET',
    path: '/v1/namespaces/{namespace}/applications/{name}/explain',
    tag: 'applications',
    summary: 'See whether a person may use an application, and which rule says so',
    access: 'signed_in',
    params: z.strictObject({ namespace: z.string(), name: z.string() }),
    query: z.strictObject({
      user: z.string().min(1).max(800).describe('Username, e-mail address or id of the person.'),
      path: z
        .string()
        .startsWith('/')
        .max(2_000)
        .optional()
        .describe('Path of the request, without its query. Absent: rules on requests are taken to hold.'),
      method: z
        .string()
        .regex(/^[A-Z]{1,20}$/, 'wants a method such as GET')
        .default('GET')
        .describe('Method of the request to that path.'),
      network: z
        .union([z.ipv4(), z.ipv6()], { error: 'wants an IP address' })
        .optional()
        .describe('Address they come from. Absent: rules on networks are taken to hold.'),
    }),
    answers: {
      200: { description: 'What is decided, and by which rule.', schema: answer },
      403: { description: 'It takes the rights to get the Application and the user.' },
      404: { description: 'There is no such Application.' },
      422: { description: 'There is no such person.' },
    },
    handle: async ({ params, query: { user: login, path, method, network }, caller }) => {
      const application = caller.requireOfFound(
        snapshot.get('Application', params.namespace, params.name),
        { verb: 'get', kind: 'Application' },
        ({ metadata }) => metadata.namespace,
      )
      caller.require({ verb: 'get', kind: 'users' })
      const user = (await findUser(db, login)) ?? (await findUserByLogin(db, login))
      if (!user) throw new Problem('invalid', { errors: [{ pointer: '/user', detail: 'there is nobody of that name' }] })
      const { metadata, spec } = application
      const client = clientOfApplication(snapshot, application)
      const groups = (await effectiveGroups(db, user.id)).toSorted()
      const common = {
        application: { namespace: metadata.namespace, name: metadata.name, displayName: spec.displayName },
        user: user.username,
        groups,
        acr: client?.policy.acr ?? null,
        requiredFactors: client?.policy.requiredFactors ? [...client.policy.requiredFactors] : null,
      }
      const decided = (found: Pick<Answer, 'decision' | 'rule' | 'value' | 'reason'>) => ({
        body: { ...common, isAllowed: found.decision === 'allowed' || found.decision === 'public', ...found },
      })
      const problem = snapshot.problemOfApplication(application) ?? client?.problem
      if (problem) return decided({ decision: 'closed', rule: null, value: null, reason: problem.message })
      const pattern = spec.proxy && path !== undefined ? publicPattern(spec.proxy, path) : undefined
      if (pattern !== undefined) {
        const index = spec.proxy?.publicPaths.indexOf(pattern)
        return decided({ decision: 'public', rule: `spec.proxy.publicPaths[${index}]`, value: pattern, reason: null })
      }
      const shown = client ? { name: spec.displayName, clientId: client.clientId, labels: metadata.labels } : {}
      const host = spec.proxy && new URL(spec.proxy.externalUrl).host
      const request = host === undefined || path === undefined ? undefined : { host, paths: waysToRead(path), method }
      const access = decideAccess(spec.access, { user, groups, client: shown, network, request })
      if (access.kind === 'allowed')
        return decided({
          decision: 'allowed',
          rule: access.by === 'everyone' ? (spec.access?.when === undefined ? null : 'spec.access.when') : `spec.access.${access.by}`,
          value: access.by === 'groups' ? (access.group ?? null) : access.by === 'users' ? user.username : (spec.access?.when ?? null),
          reason: null,
        })
      if (access.because === 'inactive')
        return decided({ decision: 'refused', rule: null, value: null, reason: 'the person is not active' })
      if (access.because === 'not_named')
        return decided({
          decision: 'refused',
          rule: 'spec.access',
          value: null,
          reason: 'neither the person nor a group of theirs is named',
        })
      return decided({
        decision: 'refused',
        rule: 'spec.access.when',
        value: spec.access?.when ?? null,
        reason: access.failed === undefined ? 'the expression does not hold' : `the expression fails: ${access.failed.slice(0, 300)}`,
      })
    },
  }),
]

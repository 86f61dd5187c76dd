import { z } from 'zod'
import { type KindName, kindNames } from '#/kinds/index.ts'
import { Problem } from '#/lib/problem.ts'
import { mayISomewhere } from '#/policy/access.ts'
import { applyDocuments } from '#/resources/apply.ts'
import { largestText } from '#/resources/manifest.ts'
import type { ApiCaller } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json } from './endpoint.ts'
import { openEscalation } from './escalation.ts'
import { guardOf } from './guard.ts'

/** RFC 9512, and what people send for it. */
const yaml = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml']

const resultSchema = z.array(
  z.strictObject({
    kind: z.string(),
    namespace: z.string(),
    name: z.string(),
    result: z.enum(['created', 'configured', 'unchanged', 'deleted', 'refused']),
    errors: z.array(
      z.strictObject({ pointer: z.string(), detail: z.string(), line: z.int().optional().describe('Where it stands in the text.') }),
    ),
    status: z.record(z.string(), z.unknown()),
  }),
)

const mayKnowOf = (caller: ApiCaller, { kind, namespace }: { kind: KindName; namespace: string }): boolean =>
  (['get', 'list', 'delete'] as const).some((verb) => caller.may({ verb, kind, namespace }))

/** Each document asks for its own right; who has none on anything need not begin. */
const requireAny = ({ grants }: ApiCaller) => {
  const mayChange = kindNames.some((kind) =>
    (['create', 'update', 'delete'] as const).some((verb) => mayISomewhere(grants, { verb, kind })),
  )
  if (!mayChange) throw new Problem('forbidden', { detail: 'this needs the right to change resources' })
}

export const apply = (deps: ApiDeps): Endpoint[] => {
  const escalation = openEscalation(deps.snapshot)
  return [
    endpoint({
      method: 'POST',
      path: '/v1/apply',
      tag: 'apply',
      summary: 'Apply manifests: YAML of several documents, or JSON',
      access: 'signed_in',
      query: z.strictObject({
        dryRun: z.enum(['true', 'false']).default('false').describe('Say what would happen, change nothing.'),
        prune: z.string().min(1).max(2_000).optional().describe('A label selector: what it selects and no document names is deleted.'),
      }),
      body: { schema: z.string(), contentTypes: [...yaml, json], isText: true, limit: largestText },
      answers: {
        200: { description: 'One result for each document, in order; what was pruned follows.', schema: resultSchema },
        422: { description: 'The same, with a document refused at least.', schema: resultSchema },
      },
      handle: async ({ query, body, caller, change, now }) => {
        requireAny(caller)
        const results = await applyDocuments(
          deps,
          body,
          {
            ...change,
            dryRun: query.dryRun === 'true',
            prune: query.prune,
            guard: guardOf(escalation, caller),
            sees: (resource) => mayKnowOf(caller, resource),
          },
          now,
        )
        return { status: results.some(({ result }) => result === 'refused') ? 422 : 200, body: results }
      },
    }),
  ]
}

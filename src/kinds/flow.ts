import { z } from 'zod'
import { checkExpression } from '#/lib/expression.ts'
import { flowVariables } from './expression_variables.ts'
import { duration, expressionText, paused, resourceName, text } from './fields.ts'
import { stageNames, stageSettings } from './flow_stages.ts'
import { defineKind } from './kind.ts'

export const designations = [
  'authentication',
  'authorization',
  'enrollment',
  'recovery',
  'invalidation',
  'unenrollment',
  'stage_configuration',
] as const
export type Designation = (typeof designations)[number]

const when = expressionText(
  'CEL expression over user, request, client, network, facts and reputation: the stage is left out unless it holds. One that fails refuses.',
)
  .superRefine((value, context) => {
    const problem = checkExpression(value, flowVariables, 'bool')
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })
  .optional()

const onRefusal = z
  .enum(['retry', 'restart', 'deny'])
  .default('retry')
  .describe('What a wrong answer leads to: the same question again, the beginning of the flow, or its end.')

/** One option a stage, told apart by `stage`. The cast: the compiler cannot follow a table of shapes into a union. */
const stageOptions = stageNames.map((name) =>
  z.strictObject({ stage: z.literal(name).describe('Name of the stage.'), when, onRefusal, ...stageSettings[name] }),
) as unknown as [z.ZodObject<{ stage: z.ZodLiteral<string>; when: typeof when; onRefusal: typeof onRefusal }, z.core.$loose>]

const stage = z.discriminatedUnion('stage', stageOptions, {
  error: ({ code }) => (code === 'invalid_union' ? `wants a stage: ${stageNames.join(', ')}` : undefined),
})

export type FlowStage = { stage: (typeof stageNames)[number]; when?: string; onRefusal: z.output<typeof onRefusal> } & Record<
  string,
  unknown
>

const crdStage = {
  type: 'object',
  required: ['stage'],
  'x-kubernetes-preserve-unknown-fields': true,
  properties: {
    stage: { type: 'string', enum: [...stageNames], description: 'Name of the stage; its settings stand beside it.' },
    when: { type: 'string', description: 'CEL expression: the stage is left out unless it holds.' },
    onRefusal: { type: 'string', enum: ['retry', 'restart', 'deny'], description: 'What a wrong answer leads to.' },
  },
}

/** Flows by what they are for, where another than the one named for it is to be taken. */
export const flowChoice = (...offered: Designation[]) =>
  z
    .strictObject(
      Object.fromEntries(
        offered.map((name) => [name, resourceName.optional().describe(`Name of the Flow for ${name}. Default: ${name}.`)]),
      ),
    )
    .optional()

export const Flow = defineKind({
  kind: 'Flow',
  plural: 'flows',
  shortName: 'fl',
  summary:
    'How people prove who they are, agree, enrol, recover or sign out: stages in order. It answers at /flow/{name} as pages and at /api/v1/flows/{name} as JSON.',
  spec: z.strictObject({
    paused,
    title: text(200).optional().describe('For the people who keep it.'),
    designation: z.enum(designations).describe('What it is for.'),
    attemptTTL: duration.default('30m').describe('How long an attempt may take.'),
    stages: z
      .array(stage)
      .min(1)
      .max(50)
      .describe('What is asked, in order.')
      .meta({ crd: { type: 'array', minItems: 1, maxItems: 50, items: crdStage } }),
  }),
})

export type FlowSpec = z.output<typeof Flow.spec>

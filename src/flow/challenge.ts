/** What a front end of its own is told and sends (`/api/v1/flows/{name}`): the flow code is typed by these shapes, and openapi.json is made of them. */
import { z } from 'zod'
import { fieldErrorSchema, problemSchema } from '#/lib/problem_document.ts'

const challengeFieldSchema = z.strictObject({
  name: z.string().describe('The name under which its answer is sent.'),
  type: z.enum(['text', 'password', 'email', 'checkbox', 'select', 'hidden']),
  label: z.string().describe('In the language of the person.'),
  required: z.boolean(),
  value: z.exactOptional(z.string()).describe('What it begins with.'),
  checked: z.exactOptional(z.boolean()).describe('A checkbox that begins ticked.'),
  options: z.exactOptional(z.array(z.strictObject({ value: z.string(), label: z.string() }))),
})

export type ChallengeField = z.output<typeof challengeFieldSchema>

const moreSchema = z.strictObject({
  passkey: z
    .exactOptional(z.record(z.string(), z.unknown()))
    .describe('WebAuthn options in their standard JSON; answer with `credential`.'),
  otpauthUrl: z.exactOptional(z.string()).describe('For an authenticator app.'),
  qr: z.exactOptional(z.string()).describe('The same as a picture (SVG).'),
  methods: z
    .exactOptional(z.array(z.string()))
    .describe('Sent as `method`: another way than the one that is asked, such as a code by mail, or the same mail once more.'),
  codes: z.exactOptional(z.array(z.string())).describe('Recovery codes. They are shown this once.'),
  captcha: z
    .exactOptional(z.strictObject({ salt: z.string(), difficulty: z.int() }))
    .describe('Find a text whose SHA-256 behind the salt begins with that many zero bits.'),
  terms: z.exactOptional(z.strictObject({ text: z.exactOptional(z.string()), url: z.exactOptional(z.string()) })),
  sentTo: z.exactOptional(z.string()).describe('Where a mail went, as far as it may be told.'),
})

export type ChallengeMore = z.output<typeof moreSchema>

export const challengeSchema = z
  .strictObject({
    attempt: z.string().describe('To be sent back. Bound to this browser by a cookie.'),
    flow: z.string(),
    stage: z.string().describe('Which stage asks. To be sent back.'),
    fields: z.array(challengeFieldSchema),
    errors: z.array(fieldErrorSchema).describe('What was wrong with the answer before.'),
    ...moreSchema.shape,
  })
  .describe('What the flow asks next.')

export type Challenge = z.output<typeof challengeSchema>

export const doneSchema = z
  .strictObject({ stage: z.literal('done'), next: z.string().describe('Where the person goes on.') })
  .describe('The end. A sign-in comes with the cookie of the session.')

export const denySchema = z
  .strictObject({
    stage: z.literal('deny'),
    reason: z.string(),
    next: z.exactOptional(z.string()).describe('Back to who began the attempt, when it was begun for another.'),
  })
  .describe('The end, without success.')

/** An answer that was refused: the members of the challenge stand beside those of the problem too, so that a front end reads every answer alike. */
export const refusedSchema = z
  .looseObject({ ...problemSchema.shape, ...challengeSchema.shape, challenge: challengeSchema })
  .describe('Problem details with the challenge.')

/** What is said beside the problem itself. */
export type RefusedMembers = Challenge & { challenge: Challenge }

export type FlowAnswer = Challenge | z.output<typeof doneSchema> | z.output<typeof denySchema>

export const postSchema = z
  .looseObject({
    attempt: z.string().min(1),
    stage: z.string().min(1),
    decline: z.boolean().optional().describe('The person declines: the attempt ends with `access_denied`.'),
    restart: z.boolean().optional().describe('The person starts over with another name.'),
  })
  .describe('The answer: `attempt` and `stage` of the challenge, and its fields by their names.')

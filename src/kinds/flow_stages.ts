/** The stages of a flow and the settings of each, under the names that manifests use. What a stage does stands in the file of its name in src/flow/stages/. */
import { z } from 'zod'
import { checkExpression } from '#/lib/expression.ts'
import { promptVariables } from './expression_variables.ts'
import { distinct, duration, expressionText, text } from './fields.ts'

export const factorTypes = ['totp', 'static', 'webauthn', 'email'] as const
export type FactorType = (typeof factorTypes)[number]

const flag = (standard: boolean, what: string) => z.boolean().default(standard).describe(what)

/** A path of ours, where a flow may send a browser. */
const ownPathText = text(2_000)
  .regex(/^\/(?![/\\])[!-[\]-~]*$/, 'wants a path of this AuthServer, such as /account')
  .describe('Path of this AuthServer.')

const promptField = z.strictObject({
  name: text(64)
    .regex(/^[a-z][A-Za-z0-9]*$/, 'wants a name in camelCase')
    .refine((name) => !['attempt', 'stage', 'decline', 'restart'].includes(name), 'is a name that flows use themselves')
    .refine((name) => !(name in Object.prototype), 'is a name that every object has')
    .describe('Name under which it is posted and kept: username, name, email, locale, password, passwordRepeat, or one of your own.'),
  type: z.enum(['text', 'password', 'email', 'checkbox', 'select']).default('text').describe('What is asked.'),
  label: text(200).optional().describe('What people read. Absent: our own text for the name.'),
  required: flag(true, 'It must be filled in.'),
  options: distinct(text(200), 100).optional().describe('Choices of a select.'),
  validate: expressionText('CEL expression over value and fields that must hold.')
    .superRefine((value, context) => {
      const problem = checkExpression(value, promptVariables, 'bool')
      if (problem) context.addIssue({ code: 'custom', message: problem })
    })
    .optional(),
  message: text(300).optional().describe('What people read when validate does not hold.'),
})

export type PromptField = z.output<typeof promptField>

const promptFields = z
  .array(promptField)
  .min(1)
  .max(30)
  .superRefine((fields, context) => {
    for (const [index, { name, type, options }] of fields.entries()) {
      if (fields.findIndex((other) => other.name === name) < index)
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is listed twice' })
      if ((type === 'select') !== (options !== undefined))
        context.addIssue({ code: 'custom', path: [index, 'options'], message: 'belong to a select, which needs them' })
    }
  })

export const stageSettings = {
  identification: {
    passkey: flag(true, 'Offer to sign in with a passkey straight away.'),
  },
  password: {},
  authenticator_validate: {
    types: distinct(z.enum(factorTypes), 4)
      .min(1)
      .default([...factorTypes])
      .describe('Factors that are taken.'),
    whenNone: z
      .enum(['pass', 'deny'])
      .default('pass')
      .describe('Of a person who has none of them. pass: it is not asked for. deny: they are refused.'),
  },
  authenticator_webauthn: {
    attestation: z.enum(['none', 'direct']).default('none').describe('Whether the make of an authenticator must be shown.'),
    attestationRoots: z
      .array(text(20_000).startsWith('-----BEGIN CERTIFICATE-----', 'wants a certificate (PEM)'))
      .max(50)
      .optional()
      .describe('Certificates (PEM) of the makers that are trusted, with attestation direct. Without any of them no authenticator is.'),
    userVerification: z
      .enum(['preferred', 'required'])
      .default('preferred')
      .describe('Whether the authenticator must ask for a PIN, finger or face.'),
    allowedAaguids: distinct(z.guid(), 500).optional().describe('Makes that are taken (AAGUID), with attestation direct. Absent: any.'),
  },
  authenticator_totp: {},
  authenticator_email: {},
  authenticator_static: {},
  consent: {},
  prompt: { fields: promptFields.describe('What is asked on one page.') },
  user_write: {
    groups: distinct(text(255), 100).optional().describe('Groups a new person becomes a member of.'),
    attributes: distinct(text(64), 100)
      .optional()
      .describe('Fields of prompts that are kept as attributes. Absent: all but username, name, email, locale and passwords.'),
  },
  user_login: {
    sessionTTL: duration.default('12h').describe('How long the session lasts.'),
    networkBinding: z
      .enum(['none', 'network'])
      .default('none')
      .describe(
        'network: the session is good only where it began: at the same IPv4 address, or in the same IPv6 network (/64). From elsewhere it is as if there were none, and it does not end.',
      ),
    rememberDevice: duration
      .optional()
      .describe(
        'How long at most a device is remembered that authenticator_validate offers to remember. Absent: as long as the AuthPolicies allow; without them it is not offered.',
      ),
  },
  user_logout: {},
  user_delete: {},
  email: {
    template: z
      .enum(['recovery', 'email_confirmation'])
      .default('recovery')
      .describe(
        'recovery: a link to the address of an account, which leads back here. email_confirmation: a code to an address that was entered.',
      ),
    linkTTL: duration.default('30m').describe('How long the link works. It works once. A code works ten minutes.'),
  },
  invitation: {},
  captcha: {
    difficulty: z
      .int()
      .min(8)
      .max(24)
      .default(16)
      .describe('Leading zero bits of the hash that the browser must find: each doubles the work.'),
  },
  terms: {
    version: text(64).default('1').describe('Who accepted this version is not asked again.'),
    text: text(20_000).optional().describe('The terms as plain text.'),
    url: text(2_048)
      .refine((value) => URL.canParse(value) && new URL(value).protocol === 'https:', 'wants an https address')
      .optional()
      .describe('Where they stand.'),
  },
  password_change: {
    only: z.enum(['always', 'expired']).default('expired').describe('expired: of whoever has a password older than the rules allow.'),
  },
  deny: { reason: text(300).optional().describe('What people read.') },
  redirect: { to: ownPathText },
  source: { name: text(253).describe('Name of the upstream provider.') },
} satisfies Record<string, z.ZodRawShape>

export type StageName = keyof typeof stageSettings
export const stageNames = Object.keys(stageSettings) as [StageName, ...StageName[]]

export type StageSettings<Name extends StageName> = z.output<z.ZodObject<(typeof stageSettings)[Name]>>

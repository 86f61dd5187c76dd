import { z } from 'zod'
import { distinct, paused, text } from './fields.ts'
import { defineKind } from './kind.ts'

/** Anything printable without spaces at its ends; compared without regard to case. */
export const username = text(255).regex(
  /^[^\s\p{Cc}]([^\p{Cc}]*[^\s\p{Cc}])?$/u,
  'must not begin or end with a space nor contain control characters',
)

/** Their names, depth and size are checked where they are stored (src/identity/field.ts). */
export const attributes = z
  .record(text(200), z.unknown())
  .default({})
  .describe('Attributes of your own: any JSON, at most 16 KiB.')
  .meta({ crd: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } })

export const User = defineKind({
  kind: 'User',
  plural: 'users',
  shortName: 'usr',
  summary: 'A person or a service account. Passwords and other credentials are never part of it.',
  storage: 'users',
  spec: z.strictObject({
    paused,
    username: username.optional().describe('Name to sign in with, unique without regard to case. Default: the name of the resource.'),
    email: z.email('wants an e-mail address').max(320).optional().describe('E-mail address; people may sign in with it too.'),
    emailVerified: z.boolean().optional().describe('The address is known to be theirs. Absent: as it is, false for a new address.'),
    name: text(255).optional().describe('Full name.'),
    active: z.boolean().default(true).describe('Inactive people cannot sign in, and their sessions end.'),
    serviceAccount: z.boolean().default(false).describe('Used by a program: never signs in at a page.'),
    locale: z
      .string()
      .max(35)
      .regex(/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/, 'wants a language tag such as en or de-CH (RFC 5646)')
      .optional()
      .describe('Language of pages and mails.'),
    groups: distinct(text(255), 1_000)
      .optional()
      .describe('Names of the groups they are a direct member of. Absent: groups are left as they are.'),
    attributes,
  }),
  references: ({ groups = [] }, namespace) =>
    groups.map((name, index) => ({ kind: 'Group', namespace, name, pointer: `/spec/groups/${index}` })),
})

export type UserSpec = z.output<typeof User.spec>

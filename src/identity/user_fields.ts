import { z } from 'zod'
import { attributesField, emailField, localeField, nameField, namesField, personNameField } from './field.ts'

/** Groups a user may be in by itself. */
export const largestGroupsOfUser = 1_000

/** What may be written of a user. A field unknown is refused by name. */
export const userFields = z.strictObject({
  username: nameField,
  email: emailField.nullish().transform((email) => email ?? null),
  /** Absent: as it was, false for a new address. */
  emailVerified: z.boolean().optional(),
  name: personNameField.nullish().transform((name) => name ?? null),
  active: z.boolean().default(true),
  locale: localeField.nullish().transform((locale) => locale ?? null),
  serviceAccount: z.boolean().default(false),
  /** Absent: as they were. */
  groups: namesField(largestGroupsOfUser).optional(),
  attributes: attributesField.default({}),
})

export type UserInput = z.input<typeof userFields>
export type UserFields = z.output<typeof userFields> & { emailVerified: boolean; groups: string[] }

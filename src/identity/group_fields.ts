import { z } from 'zod'
import { attributesField, nameField, namesField } from './field.ts'
import { shownMembers } from './group.ts'

/** Groups a group may be in by itself. */
export const largestParentsOfGroup = 100

/** Steps from a group to the last one above it, at most. */
export const deepestNesting = 10

/** What may be written of a group. A field unknown is refused by name. */
export const groupFields = z.strictObject({
  name: nameField,
  /** Absent: as they were. */
  members: namesField(shownMembers).optional(),
  /** Absent: as they were. */
  parents: namesField(largestParentsOfGroup).optional(),
  attributes: attributesField.default({}),
})

export type GroupInput = z.input<typeof groupFields>
export type GroupFields = z.output<typeof groupFields>

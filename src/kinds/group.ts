import { z } from 'zod'
import { distinct, paused, text } from './fields.ts'
import { defineKind } from './kind.ts'
import { attributes } from './user.ts'

export const Group = defineKind({
  kind: 'Group',
  plural: 'groups',
  shortName: 'grp',
  summary: 'People under one name. A member of a group is also a member of its parents.',
  storage: 'groups',
  spec: z.strictObject({
    paused,
    name: text(255).optional().describe('Name of the group, unique without regard to case. Default: the name of the resource.'),
    members: distinct(text(255), 10_000).optional().describe('Usernames of its direct members. Absent: members are left as they are.'),
    parents: distinct(text(255), 100).optional().describe('Names of the groups it is part of. Absent: they are left as they are.'),
    attributes,
  }),
  references: ({ parents = [], members = [] }, namespace) => [
    ...parents.map((name, index) => ({ kind: 'Group', namespace, name, pointer: `/spec/parents/${index}` })),
    ...members.map((name, index) => ({ kind: 'User', namespace, name, pointer: `/spec/members/${index}` })),
  ],
})

export type GroupSpec = z.output<typeof Group.spec>

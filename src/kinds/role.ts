import { z } from 'zod'
import { distinct, namespaceName, paused, text } from './fields.ts'
import { defineKind } from './kind.ts'

export const verbs = ['get', 'list', 'create', 'update', 'delete', 'use'] as const

/** A kind or another thing of the REST API by its plural, or its CamelCase name, or * for all. */
const ruledKind = z
  .string()
  .max(63)
  .regex(/^(\*|[A-Za-z][A-Za-z0-9-]*)$/, 'wants a kind such as authclients, another thing such as events, or *')

export const roleRule = z.strictObject({
  kinds: distinct(ruledKind, 100)
    .min(1)
    .describe('Kinds by plural (authclients), other things (users, sessions, credentials, events, tokens, tasks, flow-attempts), or *.'),
  namespaces: distinct(z.union([namespaceName, z.literal('*')]), 1_000)
    .min(1)
    .default(['*'])
    .describe('Namespaces in which the rule holds, * for all.')
    .meta({ crd: { type: 'array', items: { type: 'string' }, default: ['*'] } }),
  verbs: distinct(z.enum([...verbs, '*']), 7)
    .min(1)
    .describe('What may be done: get, list, create, update, delete, use (an application, with a token as app password), or * for all.'),
})

export type RoleRule = z.output<typeof roleRule>

export const Role = defineKind({
  kind: 'Role',
  plural: 'roles',
  shortName: 'rl',
  summary: 'What people may do with Signet itself: rules, and who they are given to.',
  spec: z.strictObject({
    paused,
    description: text(2_000).optional().describe('For the people who keep it.'),
    rules: z.array(roleRule).max(100).describe('What is allowed; what no rule allows is refused.'),
    subjects: z
      .strictObject({
        users: distinct(text(255), 1_000).default([]).describe('Usernames.'),
        groups: distinct(text(255), 1_000).default([]).describe('Names of groups; members of their children count.'),
      })
      .default({ users: [], groups: [] })
      .describe('Who it is given to.'),
  }),
})

export type RoleSpec = z.output<typeof Role.spec>

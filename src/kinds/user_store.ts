import { z } from 'zod'
import { always, paused, reference, secretRef, text } from './fields.ts'
import { defineKind } from './kind.ts'

const dn = text(2_000)

export const UserStore = defineKind({
  kind: 'UserStore',
  plural: 'userstores',
  shortName: 'ustore',
  summary: 'Where people live: in PostgreSQL beside everything else, or in an LDAP directory.',
  spec: z
    .strictObject({
      paused,
      type: z.enum(['postgres', 'ldap']).describe('postgres: the users and groups of this installation. ldap: a directory.'),
      ldap: z
        .strictObject({
          server: z
            .string()
            .max(2048)
            .regex(/^ldaps?:\/\/[^\s/?#]+\/?$/, 'wants an address such as ldaps://ldap.example.com')
            .optional()
            .describe('Address of the directory.'),
          directoryRef: reference('Directory')
            .optional()
            .describe('A Directory of this installation, instead of server, bind and searches.'),
          bindDN: dn.optional().describe('Who searches.'),
          bindPasswordSecretRef: secretRef('Secret and key with the password of bindDN.').optional(),
          userSearch: z
            .strictObject({
              baseDN: dn.describe('Where people are searched.'),
              filter: text(1_000).default('(objectClass=inetOrgPerson)').describe('Which entries are people.'),
              usernameAttribute: text(100).default('uid').describe('Attribute people sign in with.'),
            })
            .optional()
            .describe('How people are found.'),
          groupSearch: z
            .strictObject({
              baseDN: dn.describe('Where groups are searched.'),
              filter: text(1_000).default('(objectClass=groupOfNames)').describe('Which entries are groups.'),
              nameAttribute: text(100).default('cn').describe('Attribute that names a group.'),
            })
            .optional()
            .describe('How groups are found.'),
        })
        .refine(({ server, directoryRef }) => (server === undefined) !== (directoryRef === undefined), {
          path: ['server'],
          message: 'wants either server or directoryRef',
          ...always,
        })
        .optional()
        .describe('The directory, when type is ldap.'),
    })
    .refine(({ type, ldap }) => (type !== 'ldap' && type !== 'postgres') || (type === 'ldap') === (ldap !== undefined), {
      path: ['ldap'],
      message: 'belongs to type ldap and is needed there',
      ...always,
    }),
})

export type UserStoreSpec = z.output<typeof UserStore.spec>

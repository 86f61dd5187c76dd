import { z } from 'zod'
import { always, duration, paused, reference, secretRef, text } from './fields.ts'
import { defineKind } from './kind.ts'

const dn = text(2_000)

/** Earlier passwords that are remembered at most: each is a hash to be compared, at the full price. */
export const longestHistory = 10

export const passwordRules = z
  .strictObject({
    minLength: z.int().min(8).max(256).default(8).describe('Characters at least.'),
    maxLength: z.int().min(8).max(1_024).default(1_024).describe('Characters at most; 1024 bytes are the limit in any case.'),
    minStrength: z
      .int()
      .min(0)
      .max(4)
      .default(0)
      .describe(
        'How hard it must be to guess, as zxcvbn estimates: 0 (anything) to 4 (out of reach of guessing for long). 3 is a good choice.',
      ),
    forbidPersonal: z
      .boolean()
      .default(false)
      .describe('Refuse one that contains the username, the e-mail address or the name of the person.'),
    breached: z
      .boolean()
      .default(true)
      .describe('Refuse one that has leaked somewhere. Asked when the process has a list: setting BREACHED_PASSWORDS_DIR.'),
    history: z
      .int()
      .min(0)
      .max(longestHistory)
      .default(0)
      .describe('How many of the last passwords can not be taken again, the present one among them. 0: none is remembered.'),
    maxAge: duration.optional().describe('How long a password is good; after it, a new one is asked for at sign-in. Absent: for ever.'),
  })
  .refine(({ minLength, maxLength }) => !(maxLength < minLength), {
    path: ['maxLength'],
    message: 'is less than minLength',
    ...always,
  })

export type PasswordRules = z.output<typeof passwordRules>

/** Of a store that says nothing about it. */
export const defaultPasswordRules: PasswordRules = passwordRules.parse({})

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
      passwordRules: passwordRules
        .prefault({})
        .describe(
          'What may become a password of someone who lives here. They are asked when a password is set; those that are set stay good.',
        ),
    })
    .refine(({ type, ldap }) => (type !== 'ldap' && type !== 'postgres') || (type === 'ldap') === (ldap !== undefined), {
      path: ['ldap'],
      message: 'belongs to type ldap and is needed there',
      ...always,
    }),
})

export type UserStoreSpec = z.output<typeof UserStore.spec>

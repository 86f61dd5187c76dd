import { z } from 'zod'
import { distinct, duration, labelSelector, namespaceName, paused, reference, secretRef, text } from './fields.ts'
import { flowChoice } from './flow.ts'
import { defineKind } from './kind.ts'

const issuerUrl = z
  .string()
  .max(2048)
  .superRefine((value, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message })
    if (!URL.canParse(value) || !/^https?:\/\//.test(value)) return refuse('wants an absolute address such as https://sign-in.example.com')
    const url = new URL(value)
    if (url.search || url.hash || value.includes('?') || value.includes('#'))
      return refuse('must have neither query nor fragment (RFC 8414 section 2)')
    if (url.username || url.password) return refuse('must not carry a user or a password')
    if (value !== `${url.origin}${url.pathname}` && `${value}/` !== `${url.origin}${url.pathname}`)
      return refuse('wants lower case host, no default port and no dots in its path')
  })

export const AuthServer = defineKind({
  kind: 'AuthServer',
  plural: 'authservers',
  shortName: 'asrv',
  summary:
    'An OpenID provider: one issuer with its policies and its people. The host and path of a request choose the AuthServer that answers.',
  spec: z.strictObject({
    paused,
    displayName: text(200).optional().describe('What people read on the sign-in page. Default: Signet.'),
    issuerUrl: issuerUrl.describe('The issuer: the address under which people and applications reach it. Fixed once applications know it.'),
    policySelector: labelSelector(
      'Which AuthPolicies govern the clients of this server. Absent or none selected: the strict built-in policy.',
    ).optional(),
    policyNamespaces: distinct(z.union([namespaceName, z.literal('*')]), 100)
      .optional()
      .describe('Namespaces whose AuthPolicies may be selected, * for all. Default: the namespace of the AuthServer.')
      .meta({ crd: { type: 'array', items: { type: 'string' }, maxItems: 100 } }),
    userStoreRef: reference('UserStore').optional().describe('Where the people of this server live. Default: the UserStore named default.'),
    allowedNamespaces: z
      .strictObject({
        names: distinct(namespaceName, 1_000).optional().describe('Namespaces by name.'),
        selector: labelSelector(
          'Namespaces by label; off Kubernetes a namespace has the label kubernetes.io/metadata.name alone.',
        ).optional(),
      })
      .optional()
      .describe('Namespaces whose AuthClients may use this server. Default: all of them.'),
    flows: flowChoice('authentication', 'authorization', 'enrollment', 'recovery', 'invalidation', 'unenrollment').describe(
      'Flows of this server, of its namespace or of namespace default.',
    ),
    signingAlgorithms: distinct(z.enum(['ES256', 'RS256', 'EdDSA']), 3)
      .min(1)
      .default(['ES256', 'RS256', 'EdDSA'])
      .describe('Algorithms this server keeps signing keys for; ES256 is always among them.'),
    keyRotation: z
      .strictObject({
        every: duration.default('90d').describe('Age at which a signing key is followed by a new one.'),
        overlap: duration.default('7d').describe('How long a key is published before it signs, and after it has last signed.'),
      })
      .default({ every: '90d', overlap: '7d' })
      .describe('Rotation of signing keys.'),
    tls: z
      .strictObject({
        certSecretRef: secretRef('Secret of type kubernetes.io/tls with the certificate of the issuer (Kubernetes).').optional(),
      })
      .optional()
      .describe('TLS in front of this server.'),
    database: z
      .strictObject({ urlSecretRef: secretRef('Secret and key that hold the address of PostgreSQL.') })
      .optional()
      .describe('Database of this server (Kubernetes).'),
    redis: z
      .strictObject({ urlSecretRef: secretRef('Secret and key that hold the address of Redis or Valkey.') })
      .optional()
      .describe('Redis of this server (Kubernetes).'),
    ingress: z
      .strictObject({
        className: text(253).optional().describe('IngressClass that serves it.'),
        annotations: z.record(z.string().max(317), z.string().max(4096)).optional().describe('Annotations of the Ingress.'),
      })
      .optional()
      .describe('Ingress for the host of issuerUrl (Kubernetes). Absent: none.'),
  }),
  references: ({ userStoreRef }, namespace) =>
    userStoreRef
      ? [{ kind: 'UserStore', namespace: userStoreRef.namespace ?? namespace, name: userStoreRef.name, pointer: '/spec/userStoreRef' }]
      : [],
})

export type AuthServerSpec = z.output<typeof AuthServer.spec>

import { z } from 'zod'
import { parseCron } from '#/lib/cron.ts'
import { always, distinct, duration, labelSelector, paused, scopeToken, text } from './fields.ts'
import { factorTypes } from './flow_stages.ts'
import { defineKind } from './kind.ts'
import { authMethod, grantType, responseType } from './oauth.ts'

const flag = (what: string) => z.boolean().optional().describe(what)

export const AuthPolicy = defineKind({
  kind: 'AuthPolicy',
  plural: 'authpolicies',
  shortName: 'apol',
  summary:
    'What clients of an AuthServer may be and do. Several may govern one client: the most restrictive of them counts, field by field. A field that is absent says nothing.',
  spec: z.strictObject({
    paused,
    description: text(2_000).optional().describe('For the people who keep it.'),
    clientSelector: labelSelector('Which AuthClients it governs. Absent: all clients of the AuthServers that select it.').optional(),
    token: z
      .strictObject({
        accessTokenTTL: duration.optional().describe('Lifetime of access tokens. The shortest of all policies counts; none says: 10m.'),
        refreshTokenTTL: duration.optional().describe('Lifetime of a refresh token family. The shortest counts; none says: 720h.'),
        idTokenTTL: duration.optional().describe('Lifetime of ID tokens. The shortest counts; none says: 10m.'),
        authorizationCodeTTL: duration.optional().describe('Lifetime of authorization codes. The shortest counts; none says: 60s.'),
        deviceCodeTTL: duration.optional().describe('Lifetime of device codes. The shortest counts; none says: 10m.'),
      })
      .optional()
      .describe('Lifetimes.'),
    allowedGrantTypes: distinct(grantType, 20)
      .optional()
      .describe(
        'Grants that clients may use. Only what every policy lists is allowed; absent: all but implicit, which every governing policy must list. device_code and token_exchange are understood for short.',
      ),
    allowedResponseTypes: distinct(responseType, 10)
      .optional()
      .describe('Response types that clients may use. Only what every policy lists is allowed. Absent: those of the allowed grants.'),
    enforcePKCE: flag(
      'Refuse authorization requests without PKCE (S256). Absent: true; it is waived only where every governing policy says false.',
    ),
    allowedScopes: distinct(scopeToken, 500)
      .optional()
      .describe('Scopes that clients may ask for. Only what every policy lists is allowed. Absent: says nothing about scopes.'),
    clientAuthentication: z
      .strictObject({
        method: authMethod.optional().describe('The one way in which clients authenticate, wherever they do.'),
        methods: distinct(authMethod, 10)
          .min(1)
          .optional()
          .describe('The ways in which clients may authenticate, where more than one is allowed.'),
        secretRotation: z
          .strictObject({
            enabled: z.boolean().default(false).describe('Replace client secrets on a schedule.'),
            schedule: text(100)
              .refine((value) => parseCron(value) !== undefined, 'wants a cron expression of five fields, such as 0 3 1 * *')
              .optional()
              .describe('When, as a cron expression in UTC.'),
            overlap: duration
              .optional()
              .describe('How long the old secret stays valid. The shortest of all policies counts; none says: 24h.'),
          })
          .refine(({ enabled, schedule }) => !enabled || schedule !== undefined, {
            path: ['schedule'],
            message: 'is needed when rotation is enabled',
            ...always,
          })
          .optional()
          .describe('Rotation of client secrets.'),
      })
      .optional()
      .describe('How clients prove who they are.'),
    authentication: z
      .strictObject({
        acr: z
          .enum(['1fa', '2fa', 'phr'])
          .optional()
          .describe(
            'The least a sign-in must be worth: one factor, two, or a passkey that verified the person. The strongest of all policies counts.',
          ),
        requiredFactors: distinct(z.enum(factorTypes), 4)
          .min(1)
          .optional()
          .describe(
            'A second factor of one of these types must have been proven, which makes acr 2fa the least. Only what every policy lists counts. Absent: says nothing.',
          ),
        rememberDevice: duration
          .optional()
          .describe(
            'How long a device on which a second factor was proven need not be asked for it again, if the person wants so. It spares the question of the flow and proves nothing: acr and requiredFactors ask all the same. Only where every policy states one; the shortest counts. Absent: never.',
          ),
      })
      .optional()
      .describe('How people prove who they are.'),
    profile: z
      .enum(['fapi2', 'fapi2-message-signing'])
      .optional()
      .describe(
        'Adds all that a security profile demands. fapi2: FAPI 2.0 Security Profile (pushed requests, private_key_jwt, DPoP, code only). fapi2-message-signing: signed requests and responses besides. The stricter of all policies counts.',
      ),
    requirePushedAuthorizationRequests: flag('Refuse authorization requests that were not pushed (RFC 9126).'),
    requireDpop: flag('Issue only tokens bound to a key of the client (RFC 9449).'),
    requireSignedRequestObject: flag('Refuse authorization requests that the client did not sign (RFC 9101).'),
    requireConsent: flag('Ask each person once, even for clients whose consent is implicit.'),
    dynamicRegistration: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Offer client registration at /oauth2/register (RFC 7591).'),
        initialAccessToken: z
          .boolean()
          .default(true)
          .describe('Ask for an initial access token: an API token that may create authclients in the namespace of the AuthServer.'),
      })
      .optional()
      .describe(
        'Registration of clients by themselves. It is offered only where every selected policy without a clientSelector enables it.',
      ),
  }),
})

export type AuthPolicySpec = z.output<typeof AuthPolicy.spec>

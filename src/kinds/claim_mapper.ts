import { z } from 'zod'
import { checkExpression } from '#/lib/expression.ts'
import { claimVariables } from './expression_variables.ts'
import { distinct, expressionText, labelSelector, paused, reference, scopeToken, selects, text } from './fields.ts'
import { defineKind } from './kind.ts'

/** Claims that the protocol itself decides (RFC 7519, RFC 9068, OpenID Connect Core). */
const reserved = new Set(
  'iss sub aud exp iat nbf jti nonce acr amr azp auth_time at_hash c_hash s_hash sid client_id scope cnf act may_act typ token_use'.split(
    ' ',
  ),
)

const claim = z.strictObject({
  name: text(200)
    .refine((name) => !reserved.has(name), 'is a claim that the protocol itself decides')
    .describe('Name of the claim.'),
  value: expressionText('CEL expression over user, client, scopes. Null leaves the claim out.').superRefine((value, context) => {
    const problem = checkExpression(value, claimVariables)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  }),
  in: distinct(z.enum(['id_token', 'userinfo', 'access_token']), 3)
    .min(1)
    .default(['id_token', 'userinfo'])
    .describe('Where the claim appears.'),
})

export const ClaimMapper = defineKind({
  kind: 'ClaimMapper',
  plural: 'claimmappers',
  shortName: 'cmap',
  summary: 'Claims made by an expression (CEL) out of the person, the client and the scopes granted.',
  spec: z.strictObject({
    paused,
    authServerRef: reference('AuthServer').describe('The AuthServer whose tokens it adds to.'),
    clientSelector: labelSelector('Clients it is for. Absent: all clients of the AuthServer.').optional(),
    scopes: distinct(scopeToken, 50).optional().describe('Only when one of these scopes was granted. Absent: always.'),
    claims: z
      .array(claim)
      .min(1)
      .max(50)
      .superRefine((claims, context) => {
        for (const [index, { name }] of claims.entries())
          if (claims.findIndex((other) => other.name === name) < index)
            context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is listed twice' })
      })
      .describe('The claims.'),
  }),
  references: ({ authServerRef }, namespace) => [
    { kind: 'AuthServer', namespace: authServerRef.namespace ?? namespace, name: authServerRef.name, pointer: '/spec/authServerRef' },
  ],
})

export type ClaimMapperSpec = z.output<typeof ClaimMapper.spec>

/** Whether it is for a client with these labels. */
export const isForClient = ({ clientSelector }: ClaimMapperSpec, labels: Record<string, string>): boolean =>
  clientSelector === undefined || selects(clientSelector, labels)

import { z } from 'zod'
import { checkExpression, compileExpression } from '#/lib/expression.ts'
import { proxySpec } from './application_proxy.ts'
import { accessVariables } from './expression_variables.ts'
import { always, distinct, expressionText, paused, reference, text, webUrl } from './fields.ts'
import { flowChoice } from './flow.ts'
import { defineKind } from './kind.ts'

/** Of one that can't be understood it is said elsewhere. */
const readsRequest = (when: string | undefined): boolean =>
  when !== undefined &&
  checkExpression(when, accessVariables, 'bool') === undefined &&
  compileExpression(when, accessVariables).reads.has('request')

export const Application = defineKind({
  kind: 'Application',
  plural: 'applications',
  shortName: 'app',
  summary: 'An application as people see it in the portal, and who may use it.',
  spec: z
    .strictObject({
      paused,
      displayName: text(200).describe('What people read.'),
      description: text(2_000).optional().describe('A sentence below it.'),
      authServerRef: reference('AuthServer').describe('The AuthServer in whose portal it stands.'),
      authClientRef: reference('AuthClient')
        .optional()
        .describe('The client through which it signs people in; access below then holds there too.'),
      launchUrl: webUrl.optional().describe('Where a click leads. Absent: proxy.externalUrl.'),
      icon: webUrl.optional().describe('Address of its picture.'),
      flows: flowChoice('authentication', 'authorization').describe(
        'Flows for people who come through its client, instead of those of the AuthServer.',
      ),
      proxy: proxySpec.optional().describe('For an application that knows nothing of sign-in: an outpost stands in front of it.'),
      access: z
        .strictObject({
          groups: distinct(text(255), 1_000).optional().describe('Members of any of these groups may use it.'),
          users: distinct(text(255), 1_000).optional().describe('These people may use it, by username.'),
          when: expressionText(
            'CEL expression over user, client, network, request{host, path, method} that must hold besides; one that fails refuses. Asked at sign-in and at each refresh, but one that reads network only at sign-in, and by an outpost (proxy) about each request. One that reads request is asked there alone.',
          )
            .superRefine((value, context) => {
              const problem = checkExpression(value, accessVariables, 'bool')
              if (problem) context.addIssue({ code: 'custom', message: problem })
            })
            .optional(),
        })
        .optional()
        .describe('Who may use it. Absent: every person of the AuthServer.'),
    })
    .superRefine(({ launchUrl, proxy, authClientRef, access }, context) => {
      if (launchUrl === undefined && proxy === undefined)
        context.addIssue({ code: 'custom', path: ['launchUrl'], message: 'is needed where there is no proxy' })
      if (proxy === undefined && readsRequest(access?.when))
        context.addIssue({ code: 'custom', path: ['access', 'when'], message: 'reads request, which is known only where there is a proxy' })
      if (proxy !== undefined && authClientRef !== undefined)
        context.addIssue({ code: 'custom', path: ['authClientRef'], message: 'an application behind an outpost has a client of its own' })
    }, always),
  references: ({ authServerRef, authClientRef, proxy }, namespace) => [
    { kind: 'AuthServer', namespace: authServerRef.namespace ?? namespace, name: authServerRef.name, pointer: '/spec/authServerRef' },
    ...(authClientRef
      ? [{ kind: 'AuthClient', namespace: authClientRef.namespace ?? namespace, name: authClientRef.name, pointer: '/spec/authClientRef' }]
      : []),
    ...(proxy?.outpostRef
      ? [
          {
            kind: 'Outpost',
            namespace: proxy.outpostRef.namespace ?? namespace,
            name: proxy.outpostRef.name,
            pointer: '/spec/proxy/outpostRef',
          },
        ]
      : []),
  ],
})

export type ApplicationSpec = z.output<typeof Application.spec>

/** `Application.spec.proxy`: an application that knows nothing of sign-in, and how an outpost stands in front of it. */
import { z } from 'zod'
import { always, distinct, duration, reference, text, webUrl } from './fields.ts'
import { asRead, headerNameProblem } from './header_name.ts'
import { isUnder } from './public_path.ts'

/** An attribute of a person, `a-z` and what names of attributes have. */
const attribute = text(200)

const publicPath = z.string().min(1).max(500).describe('Regular expression over the whole path, such as /health or /static/.*')

const claimHeader = z.strictObject({
  header: z
    .string()
    .max(100)
    .superRefine((name, context) => {
      const problem = headerNameProblem(name)
      if (problem) context.addIssue({ code: 'custom', message: problem })
    })
    .describe(
      'Name of the header, such as X-Department. In mode proxy it never arrives from outside, however it is written; in the others as far as the proxy keeps it out (see its guide).',
    ),
  claim: text(200).describe('Name of the claim. A list is separated by |; objects are left out.'),
})

const claimHeaders = z
  .array(claimHeader)
  .max(20)
  .superRefine((stated, context) => {
    const seen = new Set<string>()
    for (const [index, each] of stated.entries()) {
      if (typeof each?.header !== 'string') continue
      const read = asRead(each.header)
      if (seen.has(read)) context.addIssue({ code: 'custom', path: [index, 'header'], message: 'reads the same as another one' })
      seen.add(read)
    }
  })

const upstream = z.strictObject({
  tls: z
    .strictObject({
      insecureSkipVerify: z
        .boolean()
        .default(false)
        .describe('Take any certificate. Whoever stands between can then read and change everything.'),
      ca: z
        .string()
        .max(100_000)
        .optional()
        .describe('Certificates (PEM) that its certificate must come from, instead of the public ones.'),
      serverName: text(253).optional().describe('Name its certificate must be for. Absent: the host of upstreamUrl.'),
    })
    .optional()
    .describe('How an upstream with https is known.'),
  hostHeader: z
    .enum(['external', 'upstream'])
    .default('external')
    .describe('Which host the application is asked for: the one people see, or that of upstreamUrl.'),
  timeouts: z
    .strictObject({
      connect: duration.default('10s').describe('Until it takes the connection.'),
      response: duration.default('60s').describe('Until its answer begins.'),
      idle: duration.default('5m').describe('Without a byte either way. Web sockets and streams that are silent longer are ended.'),
    })
    .prefault({})
    .describe('How long an application may take.'),
})

export const proxySpec = z
  .strictObject({
    mode: z
      .enum(['proxy', 'forward_single', 'forward_domain'])
      .describe(
        'proxy: requests go through the outpost. forward_single: a proxy in front of the application asks the outpost about each request. forward_domain: the same, with one sign-in for all applications under cookieDomain.',
      ),
    outpostRef: reference('Outpost').optional().describe('The Outpost that guards it. Absent: the one that is part of the server.'),
    externalUrl: webUrl.describe('Where people find the application.'),
    upstreamUrl: webUrl.optional().describe('Where the outpost finds it (mode proxy).'),
    cookieDomain: z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/, 'wants a domain such as example.com')
      .optional()
      .describe('Domain whose hosts share one sign-in (mode forward_domain).'),
    publicPaths: distinct(publicPath, 100).default([]).describe('Paths that anyone may ask for.'),
    headers: z
      .strictObject({
        remoteUser: z.boolean().default(false).describe('Send Remote-User, Remote-Groups, Remote-Email and Remote-Name too.'),
        jwt: z.boolean().default(false).describe('Send X-Signet-Jwt, signed with the keys at /outpost.signet/jwks.'),
        basic: z
          .strictObject({
            username: attribute.describe('Attribute that holds the user name.'),
            password: attribute.describe('Attribute that holds the password.'),
          })
          .optional()
          .describe('Sign in at the application by HTTP Basic with what stands in attributes of the person.'),
        claims: claimHeaders
          .default([])
          .describe('Further headers, each filled from a claim of the ID token, such as one of a ClaimMapper.'),
      })
      .prefault({})
      .describe('What the application is told beside the X-Signet-* headers.'),
    upstream: upstream.prefault({}).describe('How the outpost talks to the application (mode proxy).'),
  })
  .superRefine((proxy, context) => {
    const wrong = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (proxy.mode === 'proxy' && proxy.upstreamUrl === undefined) wrong(['upstreamUrl'], 'is needed in mode proxy')
    if (proxy.mode === 'forward_domain' && proxy.cookieDomain === undefined) wrong(['cookieDomain'], 'is needed in mode forward_domain')
    if (proxy.mode !== 'forward_domain' && proxy.cookieDomain !== undefined) wrong(['cookieDomain'], 'belongs to mode forward_domain')
    const external = typeof proxy.externalUrl === 'string' && URL.canParse(proxy.externalUrl) ? new URL(proxy.externalUrl) : undefined
    if (external?.search) wrong(['externalUrl'], 'must not have a query')
    if (
      external &&
      proxy.mode === 'forward_domain' &&
      typeof proxy.cookieDomain === 'string' &&
      !isUnder(external.hostname, proxy.cookieDomain)
    )
      wrong(['externalUrl'], `is not under cookieDomain ${proxy.cookieDomain}`)
    if (typeof proxy.upstreamUrl === 'string' && URL.canParse(proxy.upstreamUrl) && new URL(proxy.upstreamUrl).search)
      wrong(['upstreamUrl'], 'must not have a query')
  }, always)

export type ProxySpec = z.output<typeof proxySpec>

/** Field types that several kinds share. */
import { z } from 'zod'
import { parseDuration } from '#/lib/clock.ts'

/** A name of Kubernetes: DNS label or subdomain (RFC 1123). */
export const namePattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/
export const namespacePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
/** `[prefix/]name` of labels and annotations. */
export const labelKeyPattern = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
export const labelValuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

export const resourceName = z.string().min(1).max(253).regex(namePattern, 'wants lower case letters, digits, - and . such as web-shop')
export const namespaceName = z.string().min(1).max(63).regex(namespacePattern, 'wants lower case letters, digits and - such as team-a')

export const paused = z
  .boolean()
  .default(false)
  .describe('Stop acting on changes of this resource until it is false again; what was in force before stays in force.')

/**
 * Rules over several fields are asked even when a field by itself is wrong already, so that one answer names every mistake; they
 * must bear fields of any type.
 */
export const always = { when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null && !Array.isArray(value) }

export const stringsOf = (value: unknown): [index: number, text: string][] =>
  Array.isArray(value) ? [...value.entries()].filter((entry): entry is [number, string] => typeof entry[1] === 'string') : []

export const text = (max: number) => z.string().min(1).max(max)

/** `15m`, `720h`, `1h30m`. */
export const duration = z
  .string()
  .max(32)
  .regex(/^([0-9]+(ms|s|m|h|d))+$/, 'wants a duration such as 90s, 15m or 720h')
  .refine((value) => {
    const ms = parseDuration(value)
    return ms === undefined ? !/^([0-9]+(ms|s|m|h|d))+$/.test(value) : ms >= 1_000 && ms <= 3_660 * 86_400_000
  }, 'wants a duration from 1s to 3660d')

/** Milliseconds are of no use in token lifetimes: whole seconds, at least one. */
export const seconds = (value: string): number => Math.max(1, Math.floor((parseDuration(value) ?? 0) / 1_000))

export const reference = (what: string) =>
  z.strictObject({
    name: resourceName.describe(`Name of the ${what}.`),
    namespace: namespaceName.optional().describe(`Namespace of the ${what}. Default: the namespace of this resource.`),
  })

const unwrapName = (value: unknown) => (typeof value === 'string' ? { name: value } : value)

/** A Kubernetes Secret, by its name or as `{name, key}`. */
export const secretRef = (what: string) =>
  z
    .preprocess(
      unwrapName,
      z.strictObject({
        name: resourceName.describe('Name of the Secret.'),
        key: text(253).optional().describe('Key within the Secret.'),
      }),
    )
    .describe(what)
    .meta({ crd: { 'x-kubernetes-preserve-unknown-fields': true } })

const labelValue = z.string().regex(labelValuePattern, 'wants at most 63 letters, digits, -, _ and .')
export const labelMap = z.record(z.string().regex(labelKeyPattern, 'wants a label key such as example.com/team'), labelValue)

const selectorObject = z.strictObject({
  matchLabels: labelMap.optional().describe('Labels that must be there with these values.'),
  matchExpressions: z
    .array(
      z
        .strictObject({
          key: z.string().regex(labelKeyPattern, 'wants a label key').describe('Label key.'),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the label is compared with the values.'),
          values: z.array(labelValue).max(100).optional().describe('Values of In and NotIn.'),
        })
        .refine(
          ({ operator, values }) => (operator === 'In' || operator === 'NotIn' ? !!values?.length : !values?.length),
          'In and NotIn want values, Exists and DoesNotExist want none',
        ),
    )
    .max(50)
    .optional()
    .describe('Expressions that must all hold.'),
})

export type LabelSelector = z.output<typeof selectorObject>

const wrapLabels = (value: unknown) =>
  value && typeof value === 'object' && !Array.isArray(value) && !('matchLabels' in value) && !('matchExpressions' in value)
    ? { matchLabels: value }
    : value

/** The LabelSelector of Kubernetes, or for short a plain map of labels. An empty one selects everything. */
export const labelSelector = (what: string) =>
  z
    .preprocess(wrapLabels, selectorObject)
    .describe(`${what} A label selector (matchLabels, matchExpressions), or a plain map of labels; an empty one selects everything.`)
    .meta({ crd: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } })

export const selects = (selector: LabelSelector, labels: Record<string, string>): boolean =>
  Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
  (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    if (operator === 'Exists') return value !== undefined
    if (operator === 'DoesNotExist') return value === undefined
    const listed = value !== undefined && values.includes(value)
    return operator === 'In' ? listed : !listed
  })

/** Each at most once. */
export const distinct = <Item extends z.ZodType>(item: Item, max: number) =>
  z
    .array(item)
    .max(max)
    .superRefine((items, context) => {
      const seen = new Set<unknown>()
      for (const [index, value] of items.entries()) {
        const key = typeof value === 'string' ? value : JSON.stringify(value)
        if (seen.has(key)) context.addIssue({ code: 'custom', path: [index], message: 'is listed twice' })
        seen.add(key)
      }
    })

/** RFC 6749 section 3.3: scope-token. */
export const scopeToken = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[!#-[\]-~]+$/, 'wants a scope: visible ASCII without space, " and \\')

const isLoopback = (host: string) => host === 'localhost' || host.endsWith('.localhost') || host === '127.0.0.1' || host === '[::1]'

/** https anywhere, http on loopback only. */
export const webUrl = z
  .string()
  .max(2048)
  .superRefine((value, context) => {
    const problem = webUrlProblem(value)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })

export const webUrlProblem = (value: string): string | undefined => {
  if (!URL.canParse(value) || !/^https?:\/\//i.test(value)) return 'wants an absolute https:// address'
  const url = new URL(value)
  if (url.username || url.password) return 'must not carry a user or a password'
  if (value.includes('#')) return 'must not have a fragment'
  return undefined
}

/**
 * Redirect addresses: absolute, without fragment (RFC 6749 section 3.1.2), https, or http on loopback or on a network of the
 * operator's own (confidential clients only), or a private-use scheme with a period in it for native applications (RFC 8252 section 7.1).
 */
export const redirectUriProblem = (value: string, clientType: 'confidential' | 'public'): string | undefined => {
  if (!URL.canParse(value)) return 'wants an absolute address'
  if (value.includes('#')) return 'must not have a fragment'
  if (/[\s\\*]/.test(value)) return 'must not contain spaces, backslashes or wildcards'
  const url = new URL(value)
  if (url.username || url.password) return 'must not carry a user or a password'
  if (url.protocol === 'https:') return undefined
  if (url.protocol === 'http:')
    return isLoopback(url.hostname) || clientType === 'confidential' ? undefined : 'wants https, or http on loopback (RFC 8252)'
  if (['javascript:', 'data:', 'file:', 'blob:', 'vbscript:', 'about:', 'ftp:', 'ws:', 'wss:'].includes(url.protocol))
    return `the scheme ${url.protocol} is refused`
  return url.protocol.includes('.')
    ? undefined
    : 'a private-use scheme wants a domain in reverse, such as com.example.app:/callback (RFC 8252)'
}

/** What the type of an application demands beside (OpenID Connect Dynamic Registration section 2), of an address that is sound in itself. */
export const applicationUriProblem = (value: string, applicationType: unknown): string | undefined => {
  const { protocol, hostname } = new URL(value)
  if (applicationType === 'web' && !/^https?:$/.test(protocol)) return 'a private-use scheme is for native applications'
  if (applicationType !== 'native') return undefined
  const isOwnMachine = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  if (protocol === 'http:' && !isOwnMachine) return 'of a native application wants https, or http on loopback (RFC 8252)'
  if (protocol === 'https:' && isOwnMachine) return 'of a native application wants http on loopback (RFC 8252 section 7.3)'
  return undefined
}

export const expressionText = (what: string) => text(2_000).describe(what)

import { z } from 'zod'
import { parseCursor } from '#/identity/page.ts'
import { namespaceName } from '#/kinds/fields.ts'
import { findKind, type KindName, kinds } from '#/kinds/index.ts'
import type { Kind } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import { listPage, manifestOf } from '#/resources/read.ts'
import type { ApiCaller } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint } from './endpoint.ts'
import { listOf, listQuery } from './list.ts'
import { anyResource } from './resource_schema.ts'
import { labelSelector } from './resources.ts'

const kindList = z
  .string()
  .min(1)
  .max(500)
  .transform((text) => text.split(','))
  .refine((names) => names.every((name) => findKind(name) !== undefined), `wants kinds, of ${Object.keys(kinds).join(', ')}`)
  .optional()
  .describe('Kinds, with commas between them. Absent: all that you may list.')

/** In the order of the table, so that what is referred to comes first. */
const wantedKinds = (caller: ApiCaller, names: string[] | undefined, namespace: string | undefined): Kind<KindName>[] => {
  const all = Object.values(kinds) as Kind<KindName>[]
  if (names) {
    for (const kind of names) caller.require({ verb: 'list', kind, namespace })
    return all.filter(({ kind }) => names.includes(kind))
  }
  const allowed = all.filter(({ kind }) => caller.may({ verb: 'list', kind, namespace }))
  if (allowed.length === 0) throw new Problem('forbidden', { detail: 'this needs the right to list resources' })
  return allowed
}

/** A cursor of all kinds: the kind, and the cursor within its list. */
const renderCursor = (plural: string, inner: string): string => Buffer.from(JSON.stringify([plural, inner])).toString('base64url')

export const exporting = ({ db }: ApiDeps): Endpoint[] => [
  endpoint({
    method: 'GET',
    path: '/v1/export',
    tag: 'apply',
    summary: 'Every resource as a manifest that apply takes elsewhere',
    access: 'signed_in',
    query: z.strictObject({ ...listQuery, kind: kindList, namespace: namespaceName.optional().describe('Absent: all.'), labelSelector }),
    answers: { 200: { description: 'Manifests; what is referred to comes first.', schema: listOf(anyResource) } },
    handle: async ({ query: { cursor, limit, kind: names, namespace, labelSelector: selector }, caller }) => {
      const wanted = wantedKinds(caller, names, namespace)
      const [plural, inner = ''] = parseCursor(cursor, ['text', 'text']) ?? []
      const start = plural === undefined ? 0 : wanted.findIndex((kind) => kind.plural === plural)
      if (start < 0) throw new Problem('invalid', { errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }] })
      const items: Record<string, unknown>[] = []
      for (const [offset, kind] of wanted.slice(start).entries()) {
        const page = await listPage(db, kind, {
          namespace,
          labelSelector: selector,
          limit: limit - items.length,
          cursor: offset === 0 && inner !== '' ? inner : undefined,
        })
        items.push(...page.items.map(manifestOf))
        if (page.next !== null) return { body: { items, next: renderCursor(kind.plural, page.next) } }
        const following = wanted[start + offset + 1]
        if (items.length >= limit && following) return { body: { items, next: renderCursor(following.plural, '') } }
      }
      return { body: { items, next: null } }
    },
  }),
]

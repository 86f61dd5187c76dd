/** Every kind alike: `/api/v1/namespaces/{ns}/{plural}[/{name}]`. */
import { z } from 'zod'
import { namespaceName, resourceName } from '#/kinds/fields.ts'
import { findKindByPlural, type KindName } from '#/kinds/index.ts'
import type { Kind, Resource } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import type { Verb } from '#/policy/access.ts'
import { createResource, deleteResource, patchResource, replaceResource } from '#/resources/change.ts'
import { withInstances } from '#/resources/outpost_instances.ts'
import { findOne, listPage } from '#/resources/read.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json, mergePatch } from './endpoint.ts'
import { openEscalation } from './escalation.ts'
import { guardOf } from './guard.ts'
import { listQuery } from './list.ts'
import { anyResource, anyResourceList } from './resource_schema.ts'

const plural = z.string().refine((word) => findKindByPlural(word) !== undefined)
const collection = z.strictObject({ namespace: namespaceName, plural })
const collections = z.strictObject({
  namespace: z.union([namespaceName, z.literal('*')]).describe('`*`: all namespaces.'),
  plural,
})
const single = z.strictObject({ namespace: namespaceName, plural, name: resourceName })

export const labelSelector = z.string().min(1).max(2_000).optional().describe('Labels it must have: `app=web,tier!=test`.')

const kindOf = (word: string): Kind<KindName> => {
  const kind = findKindByPlural(word)
  if (!kind) throw new Problem('not_found')
  return kind
}

const right =
  (verb: Verb) =>
  ({ plural: kind, namespace }: { plural: string; namespace: string }) => ({ verb, kind, namespace })

const versionOf = ({ metadata }: Resource): string => metadata.resourceVersion

const tag = 'resources'
const bodyLimit = 1024 * 1024

export const resources = (deps: ApiDeps): Endpoint[] => {
  const { db, snapshot } = deps
  const shown = async (resource: Resource) => (await withInstances(db, [resource]))[0]
  const escalation = openEscalation(snapshot)
  return [
    endpoint({
      method: 'GET',
      path: '/v1/namespaces/{namespace}/{plural}',
      tag,
      summary: 'List resources',
      access: right('list'),
      params: collections,
      query: z.strictObject({ ...listQuery, labelSelector }),
      answers: { 200: { description: 'A page; it may hold fewer than `limit` although there is a next one.', schema: anyResourceList } },
      handle: async ({ params: { namespace, plural: word }, query }) => {
        const { items, next } = await listPage(db, kindOf(word), { ...query, namespace: namespace === '*' ? undefined : namespace })
        return { body: { items: await withInstances(db, items), next } }
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/namespaces/{namespace}/{plural}',
      tag,
      summary: 'Create a resource',
      access: right('create'),
      params: collection,
      body: { schema: anyResource, contentTypes: [json], limit: bodyLimit },
      answers: { 201: { description: 'Created.', schema: anyResource }, 409: { description: 'It exists.' } },
      handle: async ({ params: { namespace, plural: word }, body, caller, change, now, address }) => {
        const made = await createResource(
          deps,
          { kind: kindOf(word), namespace },
          body,
          { ...change, guard: guardOf(escalation, caller) },
          now,
        )
        const location = address(`/api/v1/namespaces/${namespace}/${word}/${made.metadata.name}`)
        return { status: 201, headers: { location }, version: versionOf(made), body: await shown(made) }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/namespaces/{namespace}/{plural}/{name}',
      tag,
      summary: 'Read a resource',
      access: right('get'),
      params: single,
      answers: { 200: { description: 'As it was written, with its status.', schema: anyResource } },
      handle: async ({ params: { namespace, plural: word, name } }) => {
        const found = await findOne(db, { kind: kindOf(word), namespace, name })
        if (!found) throw new Problem('not_found')
        // Which processes of an Outpost are there is looked up as it is read.
        return { version: versionOf(found), isLive: found.kind === 'Outpost', body: await shown(found) }
      },
    }),
    endpoint({
      method: 'PUT',
      path: '/v1/namespaces/{namespace}/{plural}/{name}',
      tag,
      summary: 'Replace a resource: what is left out is gone',
      access: right('update'),
      params: single,
      body: { schema: anyResource, contentTypes: [json], limit: bodyLimit },
      answers: { 200: { description: 'Replaced.', schema: anyResource }, 412: { description: 'It is not as If-Match says.' } },
      handle: async ({ params: { namespace, plural: word, name }, body, caller, change, precondition, now }) => {
        const options = { ...change, resourceVersion: precondition, guard: guardOf(escalation, caller) }
        const replaced = await replaceResource(deps, { kind: kindOf(word), namespace, name }, body, options, now)
        return { version: versionOf(replaced), body: await shown(replaced) }
      },
    }),
    endpoint({
      method: 'PATCH',
      path: '/v1/namespaces/{namespace}/{plural}/{name}',
      tag,
      summary: 'Change a resource (JSON merge patch)',
      access: right('update'),
      params: single,
      body: { schema: anyResource, contentTypes: [mergePatch, json], limit: bodyLimit },
      answers: { 200: { description: 'Changed.', schema: anyResource }, 412: { description: 'It is not as If-Match says.' } },
      handle: async ({ params: { namespace, plural: word, name }, body, caller, change, precondition, now }) => {
        const options = { ...change, resourceVersion: precondition, guard: guardOf(escalation, caller) }
        const patched = await patchResource(deps, { kind: kindOf(word), namespace, name }, body, options, now)
        return { version: versionOf(patched), body: await shown(patched) }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/namespaces/{namespace}/{plural}/{name}',
      tag,
      summary: 'Delete a resource',
      access: right('delete'),
      params: single,
      answers: {
        204: { description: 'Gone.' },
        409: { description: 'Nobody would get in without it: a UserStore in use, the last AuthServer at BASE_URL.' },
        412: { description: 'It is not as If-Match says.' },
      },
      handle: async ({ params: { namespace, plural: word, name }, caller, change, precondition, now }) => {
        const options = { ...change, resourceVersion: precondition, guard: guardOf(escalation, caller) }
        await deleteResource(deps, { kind: kindOf(word), namespace, name }, options, now)
        return {}
      },
    }),
  ]
}

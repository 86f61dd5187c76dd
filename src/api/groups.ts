import { z } from 'zod'
import { groupFields } from '#/identity/group_fields.ts'
import { changeMembers, createGroup, deleteGroup, findGroup, type Group, listGroups, updateGroup } from '#/identity/groups.ts'
import type { Verb } from '#/policy/access.ts'
import type { ApiCaller } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json, mergePatch } from './endpoint.ts'
import { openEscalation } from './escalation.ts'
import { listOf, listQuery } from './list.ts'

const groupSchema = z.strictObject({
  id: z.uuid(),
  name: z.string().describe('Unique without regard to case.'),
  members: z.array(z.string()).describe('Usernames of its direct members: at most 10000 are shown, 100 in a list.'),
  membersTruncated: z.boolean().describe('There are more members than are shown.'),
  parents: z.array(z.string()).describe('Names of the groups it is part of: its members are members of these too.'),
  attributes: z.record(z.string(), z.unknown()),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  resourceVersion: z.string().describe('Changes with everything above; to be sent as If-Match.'),
})

const usernames = z.array(z.string().min(1).max(800)).max(10_000).default([]).describe('Usernames.')

// What is no UUID names no group; `findGroup` says so.
const idParams = z.strictObject({ id: z.string().max(100) })

const shown = ({ metadata, ...group }: Group) => group

const tag = 'groups'

export const groups = ({ db, snapshot }: ApiDeps): Endpoint[] => {
  const escalation = openEscalation(snapshot)

  const findFor = async (caller: ApiCaller, id: string, verb: Verb): Promise<Group> => {
    // Who is in it matters to who reads it alone.
    const found = await findGroup(db, id, verb === 'get' ? undefined : 0)
    const group = caller.requireOfFound(found, { verb, kind: 'groups' }, ({ metadata }) => metadata.namespace)
    if (verb === 'update' || verb === 'delete') await escalation.requireAboveGroup(db, caller, group)
    return group
  }

  return [
    endpoint({
      method: 'GET',
      path: '/v1/groups',
      tag,
      summary: 'List and search groups',
      access: { verb: 'list', kind: 'groups' },
      query: z.strictObject({
        ...listQuery,
        q: z.string().max(200).optional().describe('Part of the name, taken literally; a short one is its beginning.'),
      }),
      answers: { 200: { description: 'A page of groups.', schema: listOf(groupSchema) } },
      handle: async ({ query }) => {
        const { items, next } = await listGroups(db, query)
        return { body: { items: items.map(shown), next } }
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/groups',
      tag,
      summary: 'Create a group',
      access: { verb: 'create', kind: 'groups', namespace: 'default' },
      body: { schema: groupFields, contentTypes: [json] },
      answers: { 201: { description: 'Created.', schema: groupSchema }, 409: { description: 'The name is taken.' } },
      handle: async ({ body, caller, change, now, address }) => {
        const group = await db.transaction(async (tx) => {
          const created = await createGroup(tx, body, change, now)
          await escalation.requireAboveGroup(tx, caller, created)
          return created
        })
        return {
          status: 201,
          headers: { location: address(`/api/v1/groups/${group.id}`) },
          version: group.resourceVersion,
          body: shown(group),
        }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/groups/{id}',
      tag,
      summary: 'Read a group',
      access: 'signed_in',
      params: idParams,
      answers: { 200: { description: 'The group.', schema: groupSchema } },
      handle: async ({ params: { id }, caller }) => {
        const group = await findFor(caller, id, 'get')
        return { version: group.resourceVersion, body: shown(group) }
      },
    }),
    endpoint({
      method: 'PATCH',
      path: '/v1/groups/{id}',
      tag,
      summary: 'Change a group (JSON merge patch)',
      access: 'signed_in',
      params: idParams,
      body: { schema: z.record(z.string(), z.unknown()), doc: groupFields.partial(), contentTypes: [mergePatch, json] },
      answers: {
        200: { description: 'The group as it is now.', schema: groupSchema },
        409: { description: 'The name is taken.' },
        412: { description: 'It is not as If-Match says.' },
      },
      handle: async ({ params: { id }, body, caller, change, precondition, now }) => {
        await findFor(caller, id, 'update')
        const group = await db.transaction(async (tx) => {
          const updated = await updateGroup(tx, id, body, { ...change, resourceVersion: precondition }, now)
          await escalation.requireAboveGroup(tx, caller, updated)
          return updated
        })
        return { version: group.resourceVersion, body: shown(group) }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/groups/{id}',
      tag,
      summary: 'Delete a group; its members stay',
      access: 'signed_in',
      params: idParams,
      answers: { 204: { description: 'Gone.' }, 412: { description: 'It is not as If-Match says.' } },
      handle: async ({ params: { id }, caller, change, precondition, now }) => {
        await findFor(caller, id, 'delete')
        await deleteGroup(db, id, { ...change, resourceVersion: precondition }, now)
        return {}
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/groups/{id}/members',
      tag,
      summary: 'Put users into a group and take others out, however large it is',
      access: 'signed_in',
      params: idParams,
      body: { schema: z.strictObject({ add: usernames, remove: usernames }), contentTypes: [json] },
      answers: { 204: { description: 'Done.' } },
      handle: async ({ params: { id }, body, caller, change, now }) => {
        await findFor(caller, id, 'update')
        await changeMembers(db, id, body, change, now)
        return {}
      },
    }),
  ]
}

import { z } from 'zod'
import { findFlow } from '#/flow/flows.ts'
import { emailField, localeField, namesField, personNameField } from '#/identity/field.ts'
import { findGroup, type Group } from '#/identity/groups.ts'
import { createInvitation, defaultInvitationFlow, deleteInvitation, type Invitation } from '#/identity/invitations.ts'
import { queueMail } from '#/identity/mail.ts'
import { nameKey } from '#/identity/name_key.ts'
import { pageOf, parseCursor } from '#/identity/page.ts'
import { resourceName } from '#/kinds/fields.ts'
import { parseDuration } from '#/lib/clock.ts'
import { type FieldError, Problem } from '#/lib/problem.ts'
import { isUuid } from '#/lib/uuid.ts'
import { findGroupsByKeys } from '#/model/groups.ts'
import { findInvitation, listInvitations } from '#/model/invitations.ts'
import { mayISomewhere } from '#/policy/access.ts'
import type { ApiCaller } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json } from './endpoint.ts'
import { openEscalation } from './escalation.ts'
import { listOf, listQuery } from './list.ts'

const text = z.string().nullable()

const invitationSchema = z.strictObject({
  id: z.uuid(),
  email: text,
  name: text,
  locale: text,
  groups: z.array(z.string()).describe('Names of the groups the person will be in.'),
  flow: z.string(),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  consumedAt: z.iso.datetime().nullable().describe('Null: it was not used.'),
})

const longestLife = 90 * 86_400_000
const shortestLife = 60_000

const createSchema = z.strictObject({
  email: emailField.nullish().describe('Address of the person, who can not choose another.'),
  name: personNameField.nullish().describe('Full name, likewise.'),
  locale: localeField.nullish().describe('Language tag (BCP 47), of the mail too.'),
  groups: namesField(100)
    .default([])
    .describe('Names of the groups they will be in: groups that you may put people into, and that give nothing you do not have.'),
  flow: resourceName.default(defaultInvitationFlow).describe('Flow that it is an entrance of: one of designation enrollment.'),
  expiresIn: z
    .string()
    .max(20)
    .refine((duration) => {
      const ms = parseDuration(duration) ?? 0
      return ms >= shortestLife && ms <= longestLife
    }, 'wants a duration from 1m to 90d')
    .default('168h')
    .describe('How long it is good, at most 90 days.'),
  send: z.boolean().default(false).describe('Mail it to `email`.'),
})

// What is no UUID names no invitation.
const idParams = z.strictObject({ id: z.string().max(100).refine(isUuid) })

const shown = (invitation: Invitation) => ({
  id: invitation.invitation_id,
  email: invitation.email,
  name: invitation.name,
  locale: invitation.locale,
  groups: invitation.groups,
  flow: invitation.flow_name,
  createdBy: invitation.created_by,
  createdAt: invitation.created_at,
  expiresAt: invitation.expires_at,
  consumedAt: invitation.consumed_at,
})

const tag = 'invitations'

export const invitations = ({ db, snapshot, settings, rootSecret }: ApiDeps): Endpoint[] => {
  const escalation = openEscalation(snapshot)

  /** Who may create users may create them in these groups; who may change these groups may put people into them. */
  const mayFill = (caller: ApiCaller, { metadata: { namespace } }: Group) =>
    caller.may({ verb: 'create', kind: 'users', namespace: 'default' }) || caller.may({ verb: 'update', kind: 'groups', namespace })

  /** The groups of these names, into each of which the caller may put people. Throws `invalid` with every unknown one, `forbidden`. */
  const findFillable = async (caller: ApiCaller, names: readonly string[]): Promise<Group[]> => {
    if (!names.length) return []
    const mayAny =
      mayISomewhere(caller.grants, { verb: 'update', kind: 'groups' }) ||
      caller.may({ verb: 'create', kind: 'users', namespace: 'default' })
    // Who may fill no group is not told by the answer which there are.
    if (!mayAny) caller.require({ verb: 'update', kind: 'groups' })
    const keys = names.map(nameKey)
    const ids = new Map((await findGroupsByKeys(db, keys)).map(({ name_key, group_id }) => [name_key, group_id]))
    const errors: FieldError[] = []
    const groups: Group[] = []
    for (const [index, key] of keys.entries()) {
      const id = ids.get(key)
      const group = id === undefined ? undefined : await findGroup(db, id)
      if (!group) errors.push({ pointer: `/groups/${index}`, detail: 'there is no group of that name' })
      else if (!groups.some((other) => other.id === group.id)) groups.push(group)
    }
    if (errors.length) throw new Problem('invalid', { errors })
    for (const group of groups) {
      if (!mayFill(caller, group)) caller.require({ verb: 'update', kind: 'groups', namespace: group.metadata.namespace })
      await escalation.requireAboveGroup(db, caller, group)
    }
    return groups
  }

  return [
    endpoint({
      method: 'POST',
      path: '/v1/invitations',
      tag,
      summary: 'Invite someone to enroll',
      access: { verb: 'create', kind: 'invitations' },
      body: { schema: createSchema, contentTypes: [json] },
      answers: {
        201: {
          description: 'The only time `url` is shown. It can be used once, as long as you may do what its groups give.',
          schema: invitationSchema.extend({ url: z.url() }),
        },
        503: { description: 'It was to be mailed and no mail can be sent.' },
      },
      handle: async ({ body: { email = null, name = null, locale = null, ...body }, caller, http, change, now, address }) => {
        // Any other flow would make nobody of whoever opens it, and one that is not there answers 404.
        if (findFlow(snapshot, http.authServer, body.flow)?.designation !== 'enrollment')
          throw new Problem('invalid', { errors: [{ pointer: '/flow', detail: 'is no flow of designation enrollment here' }] })
        if (body.send && email === null) throw new Problem('invalid', { errors: [{ pointer: '/email', detail: 'is needed to send it' }] })
        const groups = await findFillable(caller, body.groups)
        const expires_at = new Date(now.getTime() + (parseDuration(body.expiresIn) ?? 0))
        const { issuerUrl: issuer, displayName: product } = http.authServer
        const invitation = {
          issuer,
          flow_name: body.flow,
          email,
          name,
          locale,
          group_ids: groups.map(({ id }) => id),
          created_by_user_id: caller.user?.user_id ?? null,
          expires_at,
        }
        // One transaction: what was to be mailed and can not be is not made.
        const { invitation_id, url } = await db.transaction(async (tx) => {
          const made = await createInvitation(tx, invitation, change, now)
          if (body.send && email !== null)
            await queueMail(
              tx,
              {
                to: email,
                template: 'invitation',
                locale,
                user: { name, username: null, email },
                product,
                variables: { url: made.url.reveal(), expiresAt: expires_at },
              },
              { settings, rootSecret, now },
            )
          return made
        })
        const made = await findInvitation(db, invitation_id)
        if (!made) throw new Problem('conflict', { detail: 'it was deleted meanwhile' })
        return {
          status: 201,
          headers: { location: address(`/api/v1/invitations/${invitation_id}`) },
          body: { ...shown(made), url: url.reveal() },
        }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/invitations',
      tag,
      summary: 'List invitations, without their addresses',
      access: { verb: 'list', kind: 'invitations' },
      query: z.strictObject(listQuery),
      answers: { 200: { description: 'In the order of their making, until they expire.', schema: listOf(invitationSchema) } },
      handle: async ({ query: { cursor, limit } }) => {
        const [after = null] = parseCursor(cursor, ['uuid']) ?? []
        const rows = await listInvitations(db, { after, limit: limit + 1 })
        return { body: pageOf(rows, limit, ({ invitation_id }) => [invitation_id], shown) }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/invitations/{id}',
      tag,
      summary: 'Read an invitation, without its address',
      access: { verb: 'get', kind: 'invitations' },
      params: idParams,
      answers: { 200: { description: 'The invitation.', schema: invitationSchema } },
      handle: async ({ params: { id } }) => {
        const invitation = await findInvitation(db, id)
        if (!invitation) throw new Problem('not_found')
        return { body: shown(invitation) }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/invitations/{id}',
      tag,
      summary: 'Take an invitation back; its address is worth nothing from then on',
      access: { verb: 'delete', kind: 'invitations' },
      params: idParams,
      answers: { 204: { description: 'Gone.' } },
      handle: async ({ params: { id }, change, now }) => {
        if (!(await deleteInvitation(db, id, change, now))) throw new Problem('not_found')
        return {}
      },
    }),
  ]
}

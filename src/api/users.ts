import { z } from 'zod'
import { listFactors, removeFactor } from '#/identity/authenticators.ts'
import { recordChange } from '#/identity/change.ts'
import { setPassword } from '#/identity/passwords.ts'
import { forgetAllDevices, forgetDevice, listDevices } from '#/identity/remembered_devices.ts'
import { endSession, endSessionsOf, listSessions } from '#/identity/sessions.ts'
import { userFields } from '#/identity/user_fields.ts'
import { createUser, deleteUser, findUser, listUsers, type User, updateUser } from '#/identity/users.ts'
import { Problem } from '#/lib/problem.ts'
import { factorTypes } from '#/model/authenticators.ts'
import { type Consent, listConsents, revokeConsent } from '#/model/consents.ts'
import { findPassword } from '#/model/passwords.ts'
import type { Right } from '#/policy/access.ts'
import { passwordRulesOf } from '#/resources/password_rules.ts'
import type { ApiCaller } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json, mergePatch } from './endpoint.ts'
import { openEscalation } from './escalation.ts'
import { listOf, listQuery } from './list.ts'

const text = z.string().nullable()

export const userSchema = z.strictObject({
  id: z.uuid(),
  username: z.string().describe('Unique without regard to case.'),
  email: text,
  emailVerified: z.boolean(),
  name: text,
  active: z.boolean().describe('Inactive people can not sign in, and their sessions end.'),
  locale: text.describe('Language tag (BCP 47).'),
  serviceAccount: z.boolean().describe('Used by a program: never signs in at a page.'),
  groups: z.array(z.string()).describe('Names of the groups they are in by themselves.'),
  attributes: z.record(z.string(), z.unknown()),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  resourceVersion: z.string().describe('Changes with everything above; to be sent as If-Match.'),
})

export const sessionSchema = z.strictObject({
  id: z.string(),
  issuer: text,
  userAgent: text,
  device: text.describe('What the user agent says it is, in words.'),
  network: text,
  acr: text,
  amr: z.array(z.string()),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
})

export const deviceSchema = z.strictObject({
  id: z.string(),
  device: text.describe('What the user agent says it is, in words.'),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable().describe('Null: it has spared no question yet.'),
  expiresAt: z.iso.datetime(),
})

export const factorSchema = z.strictObject({
  id: z.string(),
  type: z.enum(factorTypes),
  name: text.describe('As the person calls it.'),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable(),
})

const credentialSchema = factorSchema.extend({ type: z.enum(['password', ...factorTypes]) })

export const consentSchema = z.strictObject({
  id: z.uuid(),
  issuer: z.string(),
  clientId: z.string(),
  scopes: z.array(z.string()),
  claims: z.array(z.string()),
  resources: z.record(z.string(), z.array(z.string())),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})

// What is no UUID names nobody; `findUser` says so.
const idParams = z.strictObject({ id: z.string().max(100) })
const sessionParams = idParams.extend({ session: z.string().min(1).max(200) })

export const shownConsent = ({ consent_id, issuer, client_id, scopes, claims, resources, created_at, updated_at }: Consent) => ({
  id: consent_id,
  issuer,
  clientId: client_id,
  scopes,
  claims,
  resources,
  createdAt: created_at,
  updatedAt: updated_at,
})

export const shownUser = ({ metadata, ...user }: User) => user

const tag = 'users'

export const users = ({ db, snapshot, passwords }: ApiDeps): Endpoint[] => {
  const escalation = openEscalation(snapshot)

  /** The user, when the caller may do this; where it goes against that user, only for who may do all that the user may. */
  const findFor = async (caller: ApiCaller, id: string, right: Omit<Right, 'namespace'>): Promise<User> => {
    const isOfUser = right.kind === 'users'
    if (!isOfUser) caller.require(right)
    const user = await findUser(db, id)
    if (isOfUser) caller.requireOfFound(user, right, ({ metadata }) => metadata.namespace)
    if (!user) throw new Problem('not_found')
    if (right.verb === 'update' || right.verb === 'delete') await escalation.requireAboveUser(db, caller, user)
    return user
  }

  return [
    endpoint({
      method: 'GET',
      path: '/v1/users',
      tag,
      summary: 'List and search users',
      access: { verb: 'list', kind: 'users' },
      query: z.strictObject({
        ...listQuery,
        q: z
          .string()
          .max(200)
          .optional()
          .describe(
            'Part of username, e-mail address or name, taken literally. Who begins so comes first, by username, address, name, last name, domain of the address; the others follow. A page may be short, or even empty, and still have a `next`. A short one is the beginning of the username.',
          ),
      }),
      answers: { 200: { description: 'A page of users.', schema: listOf(userSchema) } },
      handle: async ({ query }) => {
        const { items, next } = await listUsers(db, query)
        return { body: { items: items.map(shownUser), next } }
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/users',
      tag,
      summary: 'Create a user',
      access: { verb: 'create', kind: 'users', namespace: 'default' },
      body: {
        schema: userFields.extend({
          passwordHash: z
            .string()
            .max(1024)
            .optional()
            .describe(
              'Imported as another system stored it (Argon2id, bcrypt, PBKDF2, scrypt, SSHA, crypt); hashed anew at the first sign-in. Needs the right to update credentials.',
            ),
        }),
        contentTypes: [json],
      },
      answers: { 201: { description: 'Created.', schema: userSchema }, 409: { description: 'The username or address is taken.' } },
      handle: async ({ body: { passwordHash, ...fields }, caller, change, now, address }) => {
        // Whoever knows the password that it belongs to signs in as the user.
        if (passwordHash !== undefined) caller.require({ verb: 'update', kind: 'credentials' })
        const user = await db.transaction(async (tx) => {
          const created = await createUser(tx, fields, { ...change, passwordHash }, now)
          await escalation.requireAboveUser(tx, caller, created)
          return created
        })
        return {
          status: 201,
          headers: { location: address(`/api/v1/users/${user.id}`) },
          version: user.resourceVersion,
          body: shownUser(user),
        }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/users/{id}',
      tag,
      summary: 'Read a user',
      access: 'signed_in',
      params: idParams,
      answers: { 200: { description: 'The user.', schema: userSchema } },
      handle: async ({ params: { id }, caller }) => {
        const user = await findFor(caller, id, { verb: 'get', kind: 'users' })
        return { version: user.resourceVersion, body: shownUser(user) }
      },
    }),
    endpoint({
      method: 'PATCH',
      path: '/v1/users/{id}',
      tag,
      summary: 'Change a user (JSON merge patch)',
      access: 'signed_in',
      params: idParams,
      body: { schema: z.record(z.string(), z.unknown()), doc: userFields.partial(), contentTypes: [mergePatch, json] },
      answers: {
        200: { description: 'The user as it is now.', schema: userSchema },
        409: { description: 'The username or address is taken.' },
        412: { description: 'It is not as If-Match says.' },
      },
      handle: async ({ params: { id }, body, caller, change, precondition, now }) => {
        await findFor(caller, id, { verb: 'update', kind: 'users' })
        const user = await db.transaction(async (tx) => {
          const updated = await updateUser(tx, id, body, { ...change, resourceVersion: precondition }, now)
          await escalation.requireAboveUser(tx, caller, updated)
          return updated
        })
        return { version: user.resourceVersion, body: shownUser(user) }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}',
      tag,
      summary: 'Delete a user, with sessions, consents and credentials',
      access: 'signed_in',
      params: idParams,
      answers: { 204: { description: 'Gone.' }, 412: { description: 'It is not as If-Match says.' } },
      handle: async ({ params: { id }, caller, change, precondition, now }) => {
        await findFor(caller, id, { verb: 'delete', kind: 'users' })
        await deleteUser(db, id, { ...change, resourceVersion: precondition }, now)
        return {}
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/users/{id}/password',
      tag,
      summary: 'Set the password of a user; their sessions end',
      access: 'signed_in',
      params: idParams,
      body: { schema: z.strictObject({ password: z.string().max(1024) }), contentTypes: [json] },
      answers: {
        204: { description: 'Set.' },
        422: { description: 'It is not as the rules of the UserStore want it: `errors` names every mistake.' },
      },
      handle: async ({ params: { id }, body: { password }, caller, http, change, now }) => {
        const user = await findFor(caller, id, { verb: 'update', kind: 'credentials' })
        await setPassword({ db, passwords }, user.id, password, { ...change, rules: passwordRulesOf(snapshot, http.authServer) }, now)
        return {}
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/users/{id}/credentials',
      tag,
      summary: 'What a user proves themselves with, without any secret',
      access: { verb: 'list', kind: 'credentials' },
      params: idParams,
      answers: { 200: { description: 'All of them.', schema: listOf(credentialSchema) } },
      handle: async ({ params: { id }, caller }) => {
        const user = await findFor(caller, id, { verb: 'list', kind: 'credentials' })
        const password = await findPassword(db, user.id)
        const items = password ? [{ id: 'password', type: 'password', name: null, createdAt: password.changed_at, lastUsedAt: null }] : []
        return { body: { items: [...items, ...(await listFactors(db, user.id))], next: null } }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}/credentials/{credential}',
      tag,
      summary: 'Take a second factor or passkey from a user',
      access: { verb: 'delete', kind: 'credentials' },
      params: idParams.extend({ credential: z.string().min(1).max(100) }),
      answers: { 204: { description: 'It proves nothing any more.' }, 409: { description: 'A password is replaced, not removed.' } },
      handle: async ({ params: { id, credential }, caller, change, now }) => {
        const user = await findFor(caller, id, { verb: 'delete', kind: 'credentials' })
        if (credential === 'password') throw new Problem('conflict', { detail: 'a password is replaced, not removed' })
        const removed = await removeFactor(db, { user_id: user.id, username: user.username, id: credential }, change, now)
        if (!removed) throw new Problem('not_found')
        return {}
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/users/{id}/sessions',
      tag,
      summary: 'List the live sessions of a user',
      access: { verb: 'list', kind: 'sessions' },
      params: idParams,
      query: z.strictObject(listQuery),
      answers: { 200: { description: 'Newest first.', schema: listOf(sessionSchema) } },
      handle: async ({ params: { id }, query, caller, now }) => {
        const user = await findFor(caller, id, { verb: 'list', kind: 'sessions' })
        return { body: await listSessions(db, user.id, query, now) }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}/sessions',
      tag,
      summary: 'End all sessions of a user',
      access: { verb: 'delete', kind: 'sessions' },
      params: idParams,
      answers: { 204: { description: 'All are over.' } },
      handle: async ({ params: { id }, caller, change, now }) => {
        const user = await findFor(caller, id, { verb: 'delete', kind: 'sessions' })
        await endSessionsOf(db, user.id, change, now)
        return {}
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}/sessions/{session}',
      tag,
      summary: 'End a session',
      access: { verb: 'delete', kind: 'sessions' },
      params: sessionParams,
      answers: { 204: { description: 'It is over.' } },
      handle: async ({ params: { id, session }, caller, change, now }) => {
        const user = await findFor(caller, id, { verb: 'delete', kind: 'sessions' })
        if (!(await endSession(db, session, change, now, user.id))) throw new Problem('not_found')
        return {}
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/users/{id}/remembered-devices',
      tag,
      summary: 'List the devices on which a user is not asked for a second factor',
      access: { verb: 'list', kind: 'sessions' },
      params: idParams,
      answers: { 200: { description: 'All of them, newest first.', schema: listOf(deviceSchema) } },
      handle: async ({ params: { id }, caller, now }) => {
        const user = await findFor(caller, id, { verb: 'list', kind: 'sessions' })
        return { body: { items: await listDevices(db, user.id, now), next: null } }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}/remembered-devices',
      tag,
      summary: 'Forget all remembered devices of a user',
      access: { verb: 'delete', kind: 'sessions' },
      params: idParams,
      answers: { 204: { description: 'All are forgotten.' } },
      handle: async ({ params: { id }, caller, change, now }) => {
        const user = await findFor(caller, id, { verb: 'delete', kind: 'sessions' })
        await forgetAllDevices(db, { user_id: user.id, username: user.username }, change, now)
        return {}
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}/remembered-devices/{device}',
      tag,
      summary: 'Forget a remembered device',
      access: { verb: 'delete', kind: 'sessions' },
      params: idParams.extend({ device: z.uuid() }),
      answers: { 204: { description: 'It is forgotten.' } },
      handle: async ({ params: { id, device }, caller, change, now }) => {
        const user = await findFor(caller, id, { verb: 'delete', kind: 'sessions' })
        if (!(await forgetDevice(db, { user_id: user.id, username: user.username, id: device }, change, now)))
          throw new Problem('not_found')
        return {}
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/users/{id}/consents',
      tag,
      summary: 'List what a user agreed that clients may have',
      access: { verb: 'list', kind: 'consents' },
      params: idParams,
      answers: { 200: { description: 'All of them.', schema: listOf(consentSchema) } },
      handle: async ({ params: { id }, caller }) => {
        const user = await findFor(caller, id, { verb: 'list', kind: 'consents' })
        const rows = await listConsents(db, user.id)
        return { body: { items: rows.map(shownConsent), next: null } }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/users/{id}/consents/{consent}',
      tag,
      summary: 'Withdraw a consent; tokens given by it are worth nothing from then on',
      access: { verb: 'delete', kind: 'consents' },
      params: z.strictObject({ id: z.string().max(100), consent: z.uuid() }),
      answers: { 204: { description: 'Withdrawn.' } },
      handle: async ({ params: { id, consent }, caller, change, now }) => {
        const user = await findFor(caller, id, { verb: 'delete', kind: 'consents' })
        await db.transaction(async (tx) => {
          const revoked = await revokeConsent(tx, { user_id: user.id, consent_id: consent })
          if (!revoked) throw new Problem('not_found')
          await recordChange(
            tx,
            change,
            { action: 'consent.withdrawn', target: { kind: 'User', name: user.username }, data: { client: revoked.client_id, consent } },
            now,
          )
        })
        return {}
      },
    }),
  ]
}

import { Readable } from 'node:stream'
import { z } from 'zod'
import { listFactors } from '#/identity/authenticators.ts'
import { recordChange } from '#/identity/change.ts'
import { isFresh } from '#/identity/sessions.ts'
import { Problem } from '#/lib/problem.ts'
import { getSession } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint } from './endpoint.ts'
import { listOf } from './list.ts'
import { ownData, ownDataSchema } from './own_data.ts'
import { factorSchema, shownUser, userSchema } from './users.ts'

const meSchema = userSchema.extend({
  session: z.strictObject({
    acr: z.string().describe('How well they have proven who they are: `1fa`, `2fa`, `phr`.'),
    amr: z.array(z.string()).describe('By which methods (RFC 8176).'),
    authTime: z.iso.datetime().describe('When a factor was last proven.'),
  }),
})

/** The person at the browser. */
export const me = ({ db, log, snapshot }: ApiDeps): Endpoint[] => [
  endpoint({
    method: 'GET',
    path: '/v1/me',
    tag: 'me',
    summary: 'Read who is signed in, and how',
    access: 'session',
    answers: {
      200: { description: 'The user and their session.', schema: meSchema },
      401: { description: 'Nobody is signed in in this browser.' },
    },
    handle: async ({ caller }) => {
      const { user, acr, amr, auth_time } = getSession(caller)
      return { body: { ...shownUser(user), session: { acr, amr, authTime: new Date(auth_time * 1_000) } } }
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/me/factors',
    tag: 'me',
    summary: 'List the second factors and passkeys of who is signed in',
    access: 'session',
    answers: {
      200: { description: 'All of them, the oldest first.', schema: listOf(factorSchema) },
      401: { description: 'Nobody is signed in in this browser.' },
    },
    handle: async ({ caller }) => ({ body: { items: await listFactors(db, getSession(caller).user.id), next: null } }),
  }),
  endpoint({
    method: 'GET',
    path: '/v1/me/export',
    tag: 'me',
    summary: 'Download what is known of who is signed in',
    access: 'session',
    answers: {
      200: { description: 'As a file, in pieces.', schema: ownDataSchema },
      401: { description: 'Nobody is signed in in this browser, or not lately.' },
    },
    handle: async ({ caller, http, change, now }) => {
      const session = getSession(caller)
      // A session that someone left open gives nobody all of it.
      if (!isFresh(session, now)) throw new Problem('unauthenticated', { detail: 'sign in again: the last time was too long ago' })
      await recordChange(db, change, { action: 'account.exported', target: { kind: 'User', name: session.user.username } }, now)
      return {
        headers: { 'content-type': 'application/json; charset=utf-8', 'content-disposition': 'attachment; filename="account.json"' },
        body: Readable.from(ownData({ db, log, snapshot }, { session, http }, now)),
      }
    },
  }),
]

/**
 * API tokens. A person's own need no right: their scope is bounded by what the person may do, today and whenever the token is used.
 * Tokens of others, and tokens that belong to nobody, need rights on `tokens` and can't exceed their maker.
 */
import { z } from 'zod'
import { createToken, type TokenScope, unlimited } from '#/identity/api_tokens.ts'
import { recordChange } from '#/identity/change.ts'
import { pageOf, parseCursor } from '#/identity/page.ts'
import { findUserByLogin } from '#/identity/users.ts'
import { verbs } from '#/kinds/role.ts'
import { parseDuration } from '#/lib/clock.ts'
import { Problem } from '#/lib/problem.ts'
import { isUuid } from '#/lib/uuid.ts'
import { type ApiTokenOfOwner, deleteApiToken, findApiToken, listApiTokens } from '#/model/api_tokens.ts'
import { canonicalKind, findExcess, mayI, type Verb } from '#/policy/access.ts'
import { type ApiCaller, nameOf } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json } from './endpoint.ts'
import { openEscalation } from './escalation.ts'
import { listOf, listQuery } from './list.ts'

const words = <Word extends z.ZodType<string, string>>(word: Word, doc: string) =>
  z
    .array(word)
    .min(1)
    .max(50)
    .prefault(['*'] as z.input<Word>[])
    .describe(doc)

const scopeSchema = z.strictObject({
  kinds: words(
    z
      .string()
      .max(63)
      .refine((kind) => canonicalKind(kind) !== undefined, 'is no kind and nothing else that rights are given on'),
    'Kinds (`AuthClient`), their plurals, or other things such as `sessions` and `events`; `*` for all.',
  ),
  namespaces: words(z.string().regex(/^(\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/, 'is no name of a namespace'), 'Namespaces; `*` for all.'),
  verbs: words(z.enum([...verbs, '*']), 'What may be done; `*` for all.'),
})

const tokenSchema = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  user: z.string().nullable().describe('Whose rights bound it; null: its scope alone.'),
  scope: scopeSchema,
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  lastUsedAt: z.iso.datetime().nullable().describe('To the minute.'),
})

const createSchema = z.strictObject({
  name: z.string().trim().min(1).max(200).describe('What it is for.'),
  scope: scopeSchema.optional().describe('Absent: all that its maker may do.'),
  expiresIn: z
    .string()
    .max(20)
    .refine(
      (text) => (parseDuration(text) ?? 0) > 0 && (parseDuration(text) ?? 0) <= tenYears,
      'wants a duration such as 720h, at most ten years',
    )
    .optional()
    .describe('Duration. Absent: it does not expire.'),
  user: z.string().min(1).max(200).optional().describe('Username of its owner. Absent: the one who makes it.'),
})

const tenYears = 10 * 366 * 86_400_000

const idParams = z.strictObject({ id: z.string().refine(isUuid) })

const shown = (token: ApiTokenOfOwner) => ({
  id: token.token_id,
  name: token.name,
  user: token.username,
  scope: token.scope,
  createdAt: token.created_at,
  expiresAt: token.expires_at,
  lastUsedAt: token.last_used_at,
})

/** A token may do with its owner's tokens what its own scope allows; a person at the browser may do all. */
const mayWithOwn = (caller: ApiCaller, verb: Verb) =>
  caller.user !== undefined && (caller.scope === undefined || mayI([[caller.scope]], { verb, kind: 'tokens' }))

const requireRight = (caller: ApiCaller, verb: Verb, owner: string | null) => {
  if (owner !== null && owner === caller.user?.user_id && mayWithOwn(caller, verb)) return
  caller.require({ verb, kind: 'tokens' })
}

export const tokens = ({ db, snapshot }: ApiDeps): Endpoint[] => {
  const escalation = openEscalation(snapshot)

  /** Whom the new token belongs to. Acting for another needs all the rights that other has. */
  const ownerOf = async (caller: ApiCaller, username: string | undefined) => {
    if (username === undefined || username === caller.user?.username) {
      requireRight(caller, 'create', caller.user?.user_id ?? null)
      return caller.user
    }
    caller.require({ verb: 'create', kind: 'tokens' })
    const user = await findUserByLogin(db, username)
    if (!user) throw new Problem('invalid', { errors: [{ pointer: '/user', detail: 'there is no such user' }] })
    await escalation.requireAboveUser(db, caller, user)
    return { user_id: user.id, username: user.username }
  }

  return [
    endpoint({
      method: 'POST',
      path: '/v1/tokens',
      tag: 'tokens',
      summary: 'Make an API token',
      access: 'signed_in',
      body: { schema: createSchema, contentTypes: [json] },
      answers: {
        201: { description: 'The only time `token` is shown.', schema: tokenSchema.extend({ token: z.string() }) },
      },
      handle: async ({ body, caller, change, now, address }) => {
        const owner = await ownerOf(caller, body.user)
        const scope: TokenScope = body.scope ?? caller.scope ?? unlimited
        // A scope left out is bounded by the owner's rights at each use; one that is written must be held now.
        const excess = body.scope || !owner ? findExcess(caller.grants, [scope]) : undefined
        if (excess)
          throw new Problem('forbidden', {
            detail: `the scope has the right to ${nameOf(excess)}, which you do not have`,
            errors: [{ pointer: '/scope', detail: `exceeds what you may do: ${nameOf(excess)}` }],
          })
        const duration = body.expiresIn === undefined ? undefined : parseDuration(body.expiresIn)
        const wanted = duration === undefined ? undefined : new Date(now.getTime() + duration)
        if (caller.expiresAt && wanted && wanted > caller.expiresAt)
          throw new Problem('forbidden', { detail: 'a token made with a token can not outlive it' })
        const expires_at = wanted ?? caller.expiresAt ?? null
        const { token, token_id } = await db.transaction(async (tx) => {
          const made = await createToken(tx, { name: body.name, user_id: owner?.user_id ?? null, scope, expires_at }, now)
          await recordChange(
            tx,
            change,
            {
              action: 'api_token.created',
              target: { kind: 'ApiToken', name: body.name },
              data: { id: made.token_id, user: owner?.username ?? null, scope, expiresAt: expires_at },
            },
            now,
          )
          return made
        })
        return {
          status: 201,
          headers: { location: address(`/api/v1/tokens/${token_id}`) },
          body: {
            id: token_id,
            name: body.name,
            user: owner?.username ?? null,
            scope,
            createdAt: now,
            expiresAt: expires_at,
            lastUsedAt: null,
            token: token.reveal(),
          },
        }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/tokens',
      tag: 'tokens',
      summary: 'List API tokens: all of them with the right to, else your own',
      access: 'signed_in',
      query: z.strictObject(listQuery),
      answers: { 200: { description: 'In the order of their making.', schema: listOf(tokenSchema) } },
      handle: async ({ query: { cursor, limit }, caller }) => {
        const [after = null] = parseCursor(cursor, ['uuid']) ?? []
        const all = caller.may({ verb: 'list', kind: 'tokens' })
        if (!all) requireRight(caller, 'list', caller.user?.user_id ?? null)
        const rows = await listApiTokens(db, { user_id: all ? null : (caller.user?.user_id ?? null), after, limit: limit + 1 })
        return { body: pageOf(rows, limit, ({ token_id }) => [token_id], shown) }
      },
    }),
    endpoint({
      method: 'GET',
      path: '/v1/tokens/{id}',
      tag: 'tokens',
      summary: 'Read an API token, without its secret',
      access: 'signed_in',
      params: idParams,
      answers: { 200: { description: 'The token.', schema: tokenSchema } },
      handle: async ({ params: { id }, caller }) => {
        const token = await findApiToken(db, id)
        requireRight(caller, 'get', token?.user_id ?? null)
        if (!token) throw new Problem('not_found')
        return { body: shown(token) }
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/v1/tokens/{id}',
      tag: 'tokens',
      summary: 'Take an API token back; it is worth nothing from then on',
      access: 'signed_in',
      params: idParams,
      answers: { 204: { description: 'Gone.' } },
      handle: async ({ params: { id }, caller, change, now }) => {
        const token = await findApiToken(db, id)
        requireRight(caller, 'delete', token?.user_id ?? null)
        const gone =
          token &&
          (await db.transaction(async (tx) => {
            if (!(await deleteApiToken(tx, id))) return false
            await recordChange(
              tx,
              change,
              { action: 'api_token.deleted', target: { kind: 'ApiToken', name: token.name }, data: { id, user: token.username } },
              now,
            )
            return true
          }))
        if (!gone) throw new Problem('not_found')
        return {}
      },
    }),
  ]
}

import { z } from 'zod'
import { recordChange } from '#/identity/change.ts'
import { duration, namespaceName, resourceName, seconds } from '#/kinds/fields.ts'
import { Problem } from '#/lib/problem.ts'
import { findClientSecrets, rotateClientSecret } from '#/resources/client_secrets.ts'
import type { ResolvedClient } from '#/resources/snapshot.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint, json } from './endpoint.ts'

const params = z.strictObject({ namespace: namespaceName, name: resourceName })

// Registered names of OAuth (RFC 7591 section 3.2.1).
const credentialsSchema = z.strictObject({
  client_id: z.string(),
  client_secret: z.string(),
})

const tag = 'authclients'

export const client_credentials = ({ db, rootSecret, snapshot }: ApiDeps): Endpoint[] => {
  /** A client this process has not heard of yet may have been made by another one. */
  const getClient = async (namespace: string, name: string): Promise<ResolvedClient> => {
    if (!snapshot.client(namespace, name)) await snapshot.refresh()
    const client = snapshot.client(namespace, name)
    if (!client) throw new Problem('not_found', { detail: 'there is no such client' })
    return client
  }

  return [
    endpoint({
      method: 'GET',
      path: '/v1/namespaces/{namespace}/authclients/{name}/credentials',
      tag,
      summary: 'Read client_id and client_secret; each reading is an event',
      access: ({ namespace }) => ({ verb: 'get', kind: 'credentials', namespace }),
      params,
      answers: { 200: { description: 'The secret in use.', schema: credentialsSchema } },
      handle: async ({ params: { namespace, name }, change, now }) => {
        const { clientId } = await getClient(namespace, name)
        const client_secret = await db.transaction(async (tx) => {
          const [current] = await findClientSecrets(tx, rootSecret, namespace, name, now)
          if (!current) throw new Problem('not_found', { detail: 'this client has no secret' })
          await recordChange(
            tx,
            change,
            {
              action: 'authclient.credentials_read',
              target: { kind: 'AuthClient', name: `${namespace}/${name}` },
              data: { client: clientId },
            },
            now,
          )
          return current.secret.reveal()
        })
        return { body: { client_id: clientId, client_secret } }
      },
    }),
    endpoint({
      method: 'POST',
      path: '/v1/namespaces/{namespace}/authclients/{name}/rotate-secret',
      tag,
      summary: 'Make a new client_secret; the old one stays valid for the overlap',
      access: ({ namespace }) => ({ verb: 'update', kind: 'credentials', namespace }),
      params,
      body: {
        schema: z.strictObject({
          overlap: z
            .union([duration, z.literal('0s')])
            .optional()
            .describe("How long the old secret stays valid, such as `1h`; `0s`: no longer. Absent: as the client's policy says."),
        }),
        contentTypes: [json],
        isOptional: true,
      },
      answers: {
        200: {
          description: 'The new secret.',
          schema: credentialsSchema.extend({ overlap: z.string(), oldSecretExpiresAt: z.iso.datetime() }),
        },
      },
      handle: async ({ params: { namespace, name }, body, change, now }) => {
        const { clientId, policy } = await getClient(namespace, name)
        const stated = body.overlap ?? policy.written.overlap
        const overlap = body.overlap === '0s' ? 0 : body.overlap === undefined ? policy.secretRotation.overlap : seconds(body.overlap)
        const { secret, oldExpiresAt } = await rotateClientSecret({ db, rootSecret }, namespace, name, { ...change, overlap }, now)
        return { body: { client_id: clientId, client_secret: secret.reveal(), overlap: stated, oldSecretExpiresAt: oldExpiresAt } }
      },
    }),
  ]
}

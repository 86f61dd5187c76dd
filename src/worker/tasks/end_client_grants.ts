import { z } from 'zod'
import { endClientGrants } from '#/resources/client_grants.ts'
import type { Task } from '../task.ts'

const payloadSchema = z.strictObject({ issuer: z.string(), client_id: z.string(), until: z.iso.datetime() })

/** Ends what the transaction that removed a client left of its grants and consents. */
export const end_client_grants: Task = async ({ db }, payload, signal) => {
  const { until, ...identity } = payloadSchema.parse(payload)
  if (!(await endClientGrants(db, identity, new Date(until), signal))) throw new Error('it was told to stop before the end')
  return { client_id: identity.client_id }
}

import type { Stage } from '../stage.ts'

/** Ends the attempt; with `when` it says for whom. */
export const deny: Stage = {
  challenge: async (_, { settings: { reason } }) => ({ kind: 'denied', reason: typeof reason === 'string' ? reason : 'access_denied' }),
}

import type { Stage } from '../stage.ts'

/** Sends whoever gets here on to another place of ours at the end. */
export const redirect: Stage = {
  challenge: async (_, { settings: { to } }) => ({ kind: 'passed', facts: { next: String(to) } }),
}

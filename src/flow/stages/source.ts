import { recordEvent } from '#/events/record.ts'
import type { Stage } from '../stage.ts'

/** Signs people in by an upstream provider. There are none to choose from yet, so whoever gets here is refused and an operator told. */
export const source: Stage = {
  challenge: async ({ db }, { settings: { name }, now }) => {
    await recordEvent(
      db,
      {
        action: 'configuration.error',
        severity: 'error',
        actor: 'flow',
        data: { stage: 'source', reason: `there is no upstream provider ${String(name)}` },
      },
      now,
    )
    return refused
  },
  foresee: async () => refused,
}

const refused = { kind: 'denied', reason: 'configuration_error' } as const

import { z } from 'zod'
import { paused, text } from './fields.ts'
import { defineKind } from './kind.ts'

export const Outpost = defineKind({
  kind: 'Outpost',
  plural: 'outposts',
  shortName: 'op',
  summary:
    'An outpost that runs by itself, near the applications it guards (`signet outpost`). Applications name it in `proxy.outpostRef`; those that name none are guarded by the server. Its processes come with an API token that may `use` Outposts of this namespace.',
  spec: z.strictObject({
    paused,
    displayName: text(200).optional().describe('What people read. Absent: its name.'),
  }),
})

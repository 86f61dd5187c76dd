/**
 * What an outpost is told, in one vocabulary: the one in the server is told it in the same process, one that runs by itself over a stream of
 * lines of JSON (docs/decisions/0015-standalone-outposts.md). A message of a type that one does not know is passed over.
 */
import type { GuardedApplication } from '#/resources/guarded_applications.ts'

/** Rises when an outpost of before would understand a message wrongly, or lack one. */
export const protocol = 1

export interface Ending {
  issuer: string
  sid: string
  /** Milliseconds since 1970. */
  endedAt: number
}

export type Message =
  /** The first of a stream. */
  | { type: 'hello'; protocol: number; version: string; outpost: string }
  /** All that it guards, in place of those before. */
  | { type: 'applications'; generation: string; applications: readonly GuardedApplication[] }
  /** `seen`: where to go on reading after a time away. */
  | { type: 'endings'; endings: readonly Ending[]; seen: string }
  /** Whoever is named is to be asked for anew; `*`: everyone. */
  | { type: 'people'; user_ids: readonly string[] | '*' }
  /** What was missed has been told. */
  | { type: 'current' }
  /** Nothing, but whoever says it is there. */
  | { type: 'beat' }

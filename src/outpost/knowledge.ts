/** What an outpost was told, kept as requests ask for it: the same for the one in the server and for those that run by themselves. */
import type { Clock } from '#/lib/clock.ts'
import type { Core, GuardedApplication } from './core.ts'
import { openEndings } from './endings.ts'
import type { Message } from './message.ts'
import { endingsKeptMs } from './session.ts'

export interface Knowledge extends Pick<Core, 'applications' | 'onChange' | 'hasEnded' | 'changedAt'> {
  take(message: Message): void
  /** As of which configuration; undefined: of none yet. */
  generation(): string | undefined
  /** Where to go on reading endings. */
  seen(): string
  /** Those that a cookie may still name. */
  endings(): { issuer: string; sid: string; endedAt: number }[]
  /** Up to when sessions may have ended without its being known, so that whoever signed in before counts as signed out. 0: none. */
  forgottenUntil(): number
  forgetEndings(until: number): void
}

const mostChanges = 50_000
/** What has expired is looked for no oftener. */
const forgetEveryMs = 60_000

export const openKnowledge = ({ clock }: { clock: Clock }): Knowledge => {
  let applications: readonly GuardedApplication[] = []
  let generation: string | undefined
  let seen = '0'
  let forgotAt = 0
  const heard = new Set<() => void>()
  const endings = openEndings()
  const changes = new Map<string, number>()
  let allChangedAt = 0

  const takeChanges = (user_ids: readonly string[] | '*'): void => {
    const now = clock().getTime()
    if (user_ids === '*' || changes.size + user_ids.length > mostChanges) {
      changes.clear()
      allChangedAt = now
    } else for (const user_id of user_ids) changes.set(user_id, now)
  }

  const forget = (): void => {
    const now = clock().getTime()
    if (now - forgotAt < forgetEveryMs) return
    forgotAt = now
    endings.forget(now - endingsKeptMs)
  }

  return {
    take: (message) => {
      if (message.type === 'applications') {
        applications = message.applications
        generation = message.generation
        for (const tell of heard) tell()
      } else if (message.type === 'endings') {
        for (const ending of message.endings) endings.add(ending)
        seen = message.seen
        forget()
      } else if (message.type === 'people') takeChanges(message.user_ids)
    },
    applications: () => applications,
    onChange: (tell) => {
      heard.add(tell)
    },
    hasEnded: endings.has,
    changedAt: (user_id) => Math.max(changes.get(user_id) ?? 0, allChangedAt),
    generation: () => generation,
    seen: () => seen,
    endings: endings.list,
    forgottenUntil: endings.forgottenUntil,
    forgetEndings: endings.forgetUntil,
  }
}

/** What was let through and goes on: web sockets, streams of events, long downloads. It ends when its sign-in does, or no longer suffices. */
import type { Clock } from '#/lib/clock.ts'
import type { Core } from './core.ts'
import type { Decision, Question } from './decision.ts'
import type { Guard } from './guard.ts'
import type { Session } from './session.ts'

const lookMs = 500
/** What nobody tells of, such as a token that was taken back, is found then. */
const judgeAgainMs = 60_000

interface Held {
  question: Question
  session: Session
  /** As of which it was allowed. */
  judgedAt: number
  guard: Guard
}

export interface StayingDeps {
  core: Core
  clock: Clock
  judge: (question: Question) => Decision | Promise<Decision>
  guard: () => Guard
}

export const openStaying = ({ core, clock, judge, guard }: StayingDeps) => {
  const held = new Map<() => void, Held>()

  const end = (stop: () => void) => {
    if (held.delete(stop)) stop()
  }

  const judgeAnew = async (stop: () => void, one: Held, now: number): Promise<void> => {
    one.judgedAt = now
    one.guard = guard()
    const { host, path } = one.question.address
    const application = one.guard.find(host, path)
    const decision = application?.mode === 'proxy' ? await judge({ ...one.question, application, now }) : undefined
    if (decision?.kind !== 'allowed' && decision?.kind !== 'public') end(stop)
  }

  const look = () => {
    const now = clock().getTime()
    for (const [stop, one] of held) {
      const { issuer, sid, person, signedInAt } = one.session
      const isOld = now - one.judgedAt >= judgeAgainMs || one.guard !== guard() || core.changedAt(person.id) >= one.judgedAt
      if (core.hasEnded(issuer, sid, signedInAt)) end(stop)
      else if (isOld) judgeAnew(stop, one, now).catch(() => end(stop))
    }
  }
  const looking = setInterval(look, lookMs)
  looking.unref()

  return {
    /** Until it is forgotten, by what is answered. */
    hold: ({ question, session }: Pick<Held, 'question' | 'session'>, stop: () => void): (() => void) => {
      held.set(stop, { question, session, judgedAt: question.now, guard: guard() })
      return () => held.delete(stop)
    },
    close: () => {
      clearInterval(looking)
      for (const stop of [...held.keys()]) end(stop)
    },
  }
}

/**
 * Who people are now. A cookie says who someone was when they signed in; core says when that has changed, and every few minutes it is looked at
 * anyway. While core is away the last that is known holds.
 */
import type { Log } from '#/lib/log.ts'
import type { Core, Person } from './core.ts'
import type { Session } from './session.ts'

interface Known {
  person: Person | undefined
  at: number
}

const goodForMs = 5 * 60_000
const againAfterMs = 5_000
const patienceMs = 2_000
const most = 20_000

export const openPeople = ({ core, log }: { core: Core; log: Log }) => {
  const known = new Map<string, Known>()
  const asking = new Map<string, Promise<void>>()
  const triedAt = new Map<string, number>()

  const ask = (user_id: string, now: number): Promise<void> => {
    const running = asking.get(user_id)
    if (running) return running
    if (now - (triedAt.get(user_id) ?? 0) < againAfterMs) return Promise.resolve()
    triedAt.set(user_id, now)
    const asked = core
      .findPerson(user_id)
      .then(
        (person) => {
          if (known.size >= most) known.delete(known.keys().next().value as string)
          known.delete(user_id)
          known.set(user_id, { person, at: now })
          triedAt.delete(user_id)
        },
        (error: Error) =>
          log.warn(
            { event: 'outpost.person.unknown', error: error.message },
            'who someone is could not be asked; the last that is known holds',
          ),
      )
      .finally(() => asking.delete(user_id))
    asking.set(user_id, asked)
    if (triedAt.size >= most) triedAt.delete(triedAt.keys().next().value as string)
    return asked
  }

  const latest = ({ person, signedInAt, isWithoutAttributes }: Session): Known => {
    const seen = known.get(person.id)
    if (seen && seen.at >= signedInAt) return seen
    // Rules read attributes, so without them nothing is known.
    return isWithoutAttributes ? { person: undefined, at: Number.NEGATIVE_INFINITY } : { person, at: signedInAt }
  }

  return {
    /** At once when it is known well enough; undefined for whoever is gone or not active. */
    current: (session: Session, now: number): Person | undefined | Promise<Person | undefined> => {
      const seen = latest(session)
      const changed = core.changedAt(session.person.id)
      if (changed < seen.at && now - seen.at < goodForMs) return active(seen.person)
      const asked = ask(session.person.id, now)
      // What has changed is waited for; what has merely become old is not.
      if (changed < seen.at) return active(seen.person)
      return Promise.race([asked, patience()]).then(() => active(latest(session).person))
    },
  }
}

const patience = () => new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref())

const active = (person: Person | undefined): Person | undefined => (person?.active ? person : undefined)

export type People = ReturnType<typeof openPeople>

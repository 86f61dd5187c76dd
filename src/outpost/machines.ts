/** Programs that come with a token in place of a sign-in: as Bearer, or as the password of Basic beside their own name. */
import type { Core, GuardedApplication, Person } from './core.ts'
import { openTurns } from './turns.ts'

const goodForMs = 2_000
const most = 5_000
/** Anyone can make up tokens without end. Whoever has signed in must not wait behind them, nor a program whose token was good before. */
const turns = { atOnce: 4, mostWaiting: 24 }
const mostProven = 2_000
/** Tokens of ours begin so; anything else is the application's own affair. */
const token = /^signet_[\w-]{20,200}$/

interface Presented {
  token: string
  /** Undefined: Bearer names nobody. */
  username: string | undefined
}

const presentedIn = (authorization: string | undefined): Presented | undefined => {
  const [, scheme = '', value = ''] = (authorization && /^(bearer|basic) +(\S{1,1024})$/i.exec(authorization)) || []
  if (value === '') return undefined
  if (scheme.toLowerCase() === 'bearer') return token.test(value) ? { token: value, username: undefined } : undefined
  const text = Buffer.from(value, 'base64').toString()
  const at = text.indexOf(':')
  const password = text.slice(at + 1)
  return at > 0 && token.test(password) ? { token: password, username: text.slice(0, at) } : undefined
}

/** Whether a header carries a token that we made: whatever becomes of the request, an application must not see it. */
export const isOwnToken = (authorization: string | undefined): boolean => presentedIn(authorization) !== undefined

export const openMachines = ({ core }: { core: Core }) => {
  const known = new Map<string, { asked: Promise<Person | undefined>; at: number }>()
  /** Those that were somebody's when they were asked about last. */
  const proven = new Set<string>()
  const turnOfProven = openTurns(turns)
  const turnOfOthers = openTurns(turns)

  const ask = async (key: string, presented: string, application: GuardedApplication): Promise<Person | undefined> => {
    const turn = proven.has(key) ? turnOfProven : turnOfOthers
    const person = await turn(() => core.findMachine(presented, application))
    proven.delete(key)
    if (!person) return undefined
    if (proven.size >= mostProven) proven.delete(proven.values().next().value as string)
    proven.add(key)
    return person
  }

  return {
    /** Undefined when there is no token of ours. Rejects when it can't be asked about: a database that is away, or too many others. */
    find: (authorization: string | undefined, application: GuardedApplication, now: number): Promise<Person | undefined> | undefined => {
      const presented = presentedIn(authorization)
      if (!presented) return undefined
      const key = `${application.key} ${presented.token}`
      let seen = known.get(key)
      if (!seen || now - seen.at > goodForMs) {
        if (known.size >= most) known.delete(known.keys().next().value as string)
        seen = { asked: ask(key, presented.token, application), at: now }
        known.delete(key)
        known.set(key, seen)
        seen.asked.catch(() => known.delete(key))
      }
      const { username } = presented
      return seen.asked.then((person) =>
        username === undefined || person?.username.toLowerCase() === username.toLowerCase() ? person : undefined,
      )
    },
  }
}

export type Machines = ReturnType<typeof openMachines>

/** What an outpost asks of core, wherever that is: beside it in the same process, or at the other end of a network that fails. */
import type { GuardedApplication } from '#/resources/guarded_applications.ts'

export type { GuardedApplication } from '#/resources/guarded_applications.ts'

/** A person as rules and applications see them. */
export interface Person {
  id: string
  username: string
  email: string
  name: string
  active: boolean
  /** Also those above the ones they are in by themselves; sorted. */
  groups: string[]
  attributes: Record<string, unknown>
}

export interface Core {
  /** As of the last change that arrived. */
  applications(): readonly GuardedApplication[]
  /** Called after each change. */
  onChange(heard: () => void): void
  /** Undefined: there is nobody of that id. Throws when core can't be asked. */
  findPerson(user_id: string): Promise<Person | undefined>
  /** Who a token is of, that a program sends in place of a sign-in; undefined for one that is unknown, expired, or not for this application. */
  findMachine(token: string, application: GuardedApplication): Promise<Person | undefined>
  /** Whether the session that a client knows by this name, and that began then, has ended, as far as is known here. Where too much is known, so that some was forgotten, it has. */
  hasEnded(issuer: string, sid: string, signedInAt: number): boolean
  /** Milliseconds since 1970 of the last change of a person that is known here; 0: of none. */
  changedAt(user_id: string): number
  /** Core can not be reached now, so nobody can sign in; whoever has is not concerned. */
  isAway(): boolean
  /** Takes a request to an AuthServer's address to where it answers. */
  fetch(url: string, options: { method?: string; headers?: Record<string, string>; body?: string }): Promise<Response>
}

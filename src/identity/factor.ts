/**
 * What every second factor can do. Each has two halves of two steps: `offer` and `confirm` set it up, `ask` and `verify` prove it. Between the
 * steps stands a person; what the second step needs of the first is `kept` by the caller, who shows it to nobody.
 *
 * A factor knows nothing of pages, limits or mail: the caller counts refusals, sends the mail and consumes the post. It must not undo the
 * transaction of a refusal, since a try at a mailed code is counted there.
 */
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import type { FactorType } from '#/model/authenticators.ts'
import type { Authenticator } from './authenticators.ts'
import type { Change } from './change.ts'
import type { PasskeyPolicy } from './passkey_policy.ts'
import type { User } from './user.ts'

/** Where the person is: what an authenticator shows, and what a passkey is bound to. */
export interface Site {
  name: string
  /** Scheme, host and port. */
  origin: string
  /** The host alone (WebAuthn section 5.1.2). */
  rpId: string
}

export const siteOf = ({ issuerUrl, displayName }: { issuerUrl: string; displayName?: string | undefined }): Site => {
  const { origin, hostname } = new URL(issuerUrl)
  return { name: displayName ?? hostname, origin, rpId: hostname }
}

export interface FactorDeps {
  db: Db
  rootSecret: Secret
  site: Site
  /** Absent: any passkey. */
  passkeys?: PasskeyPolicy | undefined
}

/** What a step begins with. But for `kept` it is for the person's eyes. */
export interface Begun {
  /** At most 2 kB of text, to be handed back with the answer. */
  kept: string
  /** totp: for the authenticator app, as text and as picture (SVG). */
  otpauthUrl?: string
  qr?: string
  /** static */
  codes?: string[]
  /** webauthn: creation or request options in their standard JSON. */
  passkey?: object
  /** email: to be sent by the caller. Absent: there is nobody to send it to, which the person is not told. */
  mail?: { address: string; code: string; expiresAt: Date }
}

export interface Answer {
  kept: string
  /** As typed. */
  code?: string | undefined
  /** A passkey's response in its standard JSON. */
  credential?: unknown
}

export interface SetUp extends Answer {
  /** As the person calls it. */
  name?: string | undefined
}

/** `log` says why, and is for the log alone. */
export interface Refused {
  kind: 'refused'
  log: string
}

export type Confirmed = { kind: 'added'; authenticator: Authenticator } | Refused

export interface Proof {
  kind: 'proven'
  type: FactorType
  user_id: string
  authenticator_id: string
  /** What this adds to the session's (RFC 8176). */
  amr: string[]
  /** Proven to the authenticator itself too, by PIN or finger: more than one factor at once. */
  userVerified: boolean
}

export interface Factor {
  /** Throws Problem `conflict` for who can not have it now. */
  offer(deps: FactorDeps, user: User, now: Date): Promise<Begun>
  /** Keeps it, with its event, when the answer is right. Throws Problem `conflict` when there are too many or this very one is there. */
  confirm(deps: FactorDeps, user: User, setUp: SetUp, change: Change, now: Date): Promise<Confirmed>
  /** `user` undefined: nobody known yet, or one who does not exist; looks like any other. */
  ask(deps: FactorDeps, user: User | undefined, now: Date): Promise<Begun>
  /** Whoever does not have this factor is refused on the same path as a wrong answer. Each answer is good once, on whichever server. */
  verify(deps: FactorDeps, user: User | undefined, answer: Answer, now: Date): Promise<Proof | Refused>
}

export const refused = (log: string): Refused => ({ kind: 'refused', log })

/** Has no authenticators: whoever is undefined is looked up as this one. */
export const nobody = '00000000-0000-0000-0000-000000000000'

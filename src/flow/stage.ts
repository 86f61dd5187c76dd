/**
 * The contract of a stage. A stage says what it asks and judges the answer, and nothing else: it does not render, count failures,
 * write events, set cookies or choose what comes next. That is the executor's, so every stage gets it alike.
 */

import type { FactorType } from '#/identity/authenticators.ts'
import type { PasswordHasher } from '#/identity/passwords.ts'
import type { User } from '#/identity/user.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import type { ChallengeField, ChallengeMore } from './challenge.ts'
import type { Hidden } from './state.ts'

export interface FlowDeps {
  db: Db
  log: Log
  clock: Clock
  passwords: PasswordHasher
  snapshot: Snapshot
  rootSecret: Secret
  settings: Pick<Settings, 'SMTP_URL' | 'MAIL_FROM'>
}

/** What has been found out in this attempt so far. Kept in the attempt's row, so never a secret. */
export interface Facts {
  /** As it was typed, which says nothing of whether such a person exists; once a factor is proven, the person's own. */
  username?: string
  user_id?: string
  /** Where the browser goes at the end, instead of where the attempt was begun to lead. */
  next?: string
  /** RFC 8176. */
  amr?: string[]
  acr?: string
  /** Types of second factors that were proven. */
  factors?: FactorType[]
  /** A second factor is not asked for, since the device is remembered. */
  factor_spared?: boolean
  /** The device is to be remembered by this factor, which was proven on it. */
  remember_device?: FactorType
  /** Seconds since 1970: when a factor was last proven. */
  auth_time?: number
  /** Of the password that was proven, or that a link takes the place of: with any other one the attempt does not go on. */
  password_version?: number
  /** `sessions.uid` of the session that user_login made. */
  session_uid?: string
  /** `sessions.uid` of the session that the facts were taken from: they hold as long as this browser has it. */
  from_session?: string
  /** E-mail address whose mailbox they have shown to be theirs. */
  proven_email?: string
  /** What prompts asked, but for passwords. */
  prompted?: Record<string, string>
  invitation?: { email?: string; name?: string; locale?: string; groups?: string[] }
  /** `terms` accepted, by version. */
  accepted_terms?: string
  /** What became of each stage so far (`trail.ts`), for administrators. */
  trail?: string
  /** What the person agreed to in the consent stage, as the context asked for it. */
  consent?: { scopes: string[]; claims: string[]; resources: Record<string, string[]> }
}

/** What the one who began the attempt tells the stages, and the pages show. */
export interface Context {
  /** Names and links under their registered names of client metadata. */
  client?: {
    client_id: string
    name: string
    logo_uri?: string
    client_uri?: string
    policy_uri?: string
    tos_uri?: string
  }
  /** What a session should be worth, the better first: whoever has less is asked for what is missing. */
  acr_values?: string[]
  /** Of these types of second factors one must have been proven. */
  required_factors?: FactorType[]
  /** Seconds that a device may be remembered. Absent: it may not, nor is it asked whether it is. */
  remember_device?: number
  /** Filled into the identification stage. */
  login_hint?: string
  ui_locales?: string[]
  /** The person a consent is asked of: another one's session may not give it. */
  user?: { user_id: string; name: string }
  /** New scopes, claims and resources' scopes to agree to. */
  scopes?: string[]
  claims?: string[]
  resources?: Record<string, string[]>
}

/** Of the request, what stages may look at. */
export interface FlowRequest {
  authServer: AuthServerRef
  /** Value of the cookie that binds attempts to a browser. */
  browser: string | undefined
  /** Value of the session's cookie. */
  session: string | undefined
  /** Value of the cookie of a remembered device. */
  device?: string | undefined
  network: string
  userAgent: string | undefined
  requestId: string
  /** What the person reads, best first. */
  locales: readonly string[]
}

export interface StageInput<Settings = StageSettings> {
  /** Name of the flow. */
  flow: string
  settings: Settings
  facts: Facts
  context: Context
  /** What this very stage kept when it asked. */
  kept: Hidden
  /** What earlier stages handed on; `token` is that of the link that led here, of an invitation or a mail. */
  carried: Hidden
  /** 256 bits in base64url, good as a challenge: the same however often the attempt is shown where it stands, others once it has moved. */
  nonce: () => string
  request: FlowRequest
  now: Date
}

export type StageSettings = Readonly<Record<string, unknown>>

/** One thing that is asked. Its label is `field.{name}` in the message catalogue. */
export interface Field extends Omit<ChallengeField, 'label'> {
  /** In place of the text of the message catalogue. */
  label?: string
  /** HTML's autofill detail token. */
  autocomplete?: string
}

/** `detail` is a key of the message catalogue. */
export interface FieldMistake {
  field: string
  detail: string
  /** For the placeholders of the text. */
  values?: Record<string, unknown>
  /** A text of the operator's, in place of the catalogue's. */
  text?: string
}

export interface Ask {
  fields: Field[]
  mistakes: FieldMistake[]
  /** What the challenge says besides, under its wire names: `passkey`, `otpauthUrl`, `codes`. */
  more?: ChallengeMore
}

/** Wrong answers: InvalidCredentials is counted and an event, InvalidAnswer is a slip. */
export type Failure = 'InvalidCredentials' | 'InvalidAnswer' | 'LockedOut' | 'SessionChanged'

export type Outcome =
  /** `keep` is sealed in the attempt until the stage is passed; left out, what was kept stays. */
  | { kind: 'ask'; ask: Ask; keep?: Hidden }
  /** `carry` is sealed in the attempt and shown to later stages. */
  | { kind: 'passed'; facts: Facts; session?: SessionChange; carry?: Hidden }
  | { kind: 'failed'; reason: Failure; ask: Ask; retryAfter?: number; keep?: Hidden }
  | { kind: 'denied'; reason: string }

/** What becomes of the browser's session: its new token, or none. `device`: that of the device, which is remembered from now on. */
export type SessionChange =
  | { kind: 'began'; token: string; expiresAt: Date; device?: { token: string; expiresAt: Date } }
  | { kind: 'ended' }

export const lockedOut = (ask: Ask, retryAfter: number) => ({ kind: 'failed', reason: 'LockedOut', ask, retryAfter }) as const

export interface Stage {
  /**
   * What is asked. `passed` straight away when there is nothing to ask; a stage that never asks does its work here, in the transaction
   * that moves the attempt on.
   */
  challenge(deps: FlowDeps, input: StageInput): Promise<Outcome>
  /** What it asks sends a mail: that too is done in the transaction that moves the attempt on, so a mail is queued with it or not at all. */
  sends?: true
  /** Judges what came for the fields. Runs outside a transaction: it may take its time. */
  answer?(deps: FlowDeps, input: StageInput, answer: Answer): Promise<Outcome>
  /**
   * For a dry run: what it comes to for this person, found out by reading alone. Absent: `challenge` reads alone, and the right answer finds
   * out nothing that conditions see.
   */
  foresee?(deps: FlowDeps, input: StageInput, candidate: Candidate): Promise<Foreseen>
}

/** Whom a dry run is for. */
export interface Candidate {
  user: User
  /** What they prove it by, where they have a choice. Undefined: the first that they can. */
  factor: FactorType | undefined
}

export type Foreseen =
  /** Asked, and answered rightly: `facts` is what that finds out. */
  | { kind: 'asked'; ask: Ask; facts: Facts; carry?: Hidden; factors?: readonly FactorType[] }
  | { kind: 'passed'; facts: Facts }
  /** Asked for what they have no right answer to. */
  | { kind: 'stuck'; ask: Ask; reason: string; retryAfter?: number }
  | { kind: 'denied'; reason: string }

/** What a challenge comes to when the answer to it finds out these facts. */
export const foreseen = (outcome: Outcome, facts: Facts = {}): Foreseen => {
  if (outcome.kind === 'ask') return { kind: 'asked', ask: outcome.ask, facts }
  if (outcome.kind === 'failed') return { kind: 'stuck', ask: outcome.ask, reason: outcome.reason }
  return outcome
}

/** What came for the fields: from a form texts, from JSON anything. */
export type Answer = Readonly<Record<string, unknown>>

/** A field of an answer that is to be a text; anything else is as if nothing had been entered. */
export const textIn = (answer: Answer, field: string): string => {
  const value = Object.hasOwn(answer, field) ? answer[field] : undefined
  return typeof value === 'string' ? value : ''
}

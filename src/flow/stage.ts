/**
 * The contract of a stage. A stage says what it asks and judges the answer, and nothing else: it does not render, count failures,
 * write events, set cookies or choose what comes next. That is the executor's, so every stage gets it alike.
 */
import type { PasswordHasher } from '#/identity/passwords.ts'
import type { Clock } from '#/lib/clock.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import type { Db } from '#/lib/sql.ts'
import type { ChallengeField } from './challenge.ts'

export interface FlowDeps {
  db: Db
  log: Log
  clock: Clock
  passwords: PasswordHasher
}

/** What has been found out in this attempt so far. Kept in the attempt's row, so never a secret. */
export interface Facts {
  /** As it was typed, which says nothing of whether such a person exists; once a factor is proven, the person's own. */
  username?: string
  user_id?: string
  /** RFC 8176. */
  amr?: string[]
  acr?: string
  /** Seconds since 1970: when a factor was last proven. */
  auth_time?: number
  /** `sessions.uid` of the session that user_login made. */
  session_uid?: string
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
  network: string
  userAgent: string | undefined
  requestId: string
  /** What the person reads, best first. */
  locales: readonly string[]
}

export interface StageInput<Settings = StageSettings> {
  settings: Settings
  facts: Facts
  context: Context
  request: FlowRequest
  now: Date
}

export type StageSettings = Record<string, unknown>

/** One thing that is asked. Its label is `field.{name}` in the message catalogue. */
export interface Field extends Omit<ChallengeField, 'label'> {
  /** HTML's autofill detail token. */
  autocomplete?: string
}

/** `detail` is a key of the message catalogue. */
export interface FieldMistake {
  field: string
  detail: string
}

export interface Ask {
  fields: Field[]
  mistakes: FieldMistake[]
}

export type Failure = 'InvalidCredentials' | 'InvalidAnswer' | 'LockedOut' | 'SessionChanged'

export type Outcome =
  | { kind: 'ask'; ask: Ask }
  | { kind: 'passed'; facts: Facts; session?: SessionChange }
  | { kind: 'failed'; reason: Failure; ask: Ask; retryAfter?: number }
  | { kind: 'denied'; reason: string }

/** What becomes of the browser's session: its new token, or none. */
export type SessionChange = { kind: 'began'; token: string; expiresAt: Date } | { kind: 'ended' }

export interface Stage {
  /**
   * What is asked. `passed` straight away when there is nothing to ask; a stage that never asks does its work here, in the transaction
   * that moves the attempt on.
   */
  challenge(deps: FlowDeps, input: StageInput): Promise<Outcome>
  /** Judges what came for the fields. Runs outside a transaction: it may take its time. */
  answer?(deps: FlowDeps, input: StageInput, answer: Answer): Promise<Outcome>
}

/** What came for the fields: from a form texts, from JSON anything. */
export type Answer = Readonly<Record<string, unknown>>

/** A field of an answer that is to be a text; anything else is as if nothing had been entered. */
export const textIn = (answer: Answer, field: string): string => {
  const value = Object.hasOwn(answer, field) ? answer[field] : undefined
  return typeof value === 'string' ? value : ''
}

/** Every page a person sees outside the console, and what each is given. */
import type { ChallengeField, ChallengeMore } from './challenge.ts'
import type {
  Account,
  AccountConsents,
  AccountEmail,
  AccountFactors,
  AccountPassword,
  AccountSessions,
  Applications,
} from './portal_pages.ts'

/** A form that is posted to `action` with these hidden fields beside what the page asks. */
export interface HiddenForm {
  action: string
  hidden: Record<string, string>
}

export interface ShownClient {
  name: string
  logo_uri?: string
  client_uri?: string
  policy_uri?: string
  tos_uri?: string
}

export interface StagePage {
  action: string
  attempt: string
  stage: string
  fields: (ChallengeField & { autocomplete?: string; isWrong: boolean })[]
  mistakes: { field: string; text: string }[]
  client?: ShownClient
  /** Declining leads back to whoever asked. */
  canDecline: boolean
  /** Another name may be entered. */
  canRestart?: boolean
  /** What the flow is for. */
  designation?: string
  /** Name typed in an earlier stage. */
  username?: string
  /** The person a consent is asked of. */
  person?: string
  scopes: { name: string; text: string }[]
  /** What the challenge says besides. */
  more?: ChallengeMore
  /** Path of the flow to recover an account by, where there is one. */
  recovery?: string
}

/** Name of a page (templates/pages/{name}.liquid) and what it wants to know. */
export interface PageVariables {
  identification: StagePage
  password: StagePage
  consent: StagePage
  user_logout: StagePage
  user_delete: StagePage
  authenticator_validate: StagePage
  authenticator_webauthn: StagePage
  authenticator_totp: StagePage
  authenticator_email: StagePage
  authenticator_static: StagePage
  prompt: StagePage
  email: StagePage
  captcha: StagePage
  terms: StagePage
  password_change: StagePage
  /** Something went wrong; `error` is a registered code, `retry` a path of ours to go on at. */
  error: { error: string; error_description?: string; request_id?: string; retry?: string; client?: ShownClient }
  /** 503 with Retry-After. */
  busy: { retry?: string }
  /** One field `user_code`. `mistake` is one of: missing, unknown, expired, used, aborted, denied. */
  device_input: HiddenForm & { user_code?: string; mistake?: string; charset?: 'digits' | 'base-20' }
  /** Two buttons: `confirm=yes` (in `hidden` already or not) and `abort=yes`. */
  device_confirm: HiddenForm & { client: ShownClient; user_code: string; network?: string; user_agent?: string }
  device_success: { client?: ShownClient }
  /** Posted to the client, whose address `action` is; by itself where scripts run. */
  form_post: HiddenForm & { client?: ShownClient }
  /** Two buttons of the same form: `logout=yes` signs out everywhere, without it only the client is told. */
  logout_confirm: HiddenForm & { client?: ShownClient }
  logged_out: { client?: ShownClient }
  applications: Applications
  account: Account
  account_sessions: AccountSessions
  account_consents: AccountConsents
  account_factors: AccountFactors
  account_email: AccountEmail
  account_password: AccountPassword
}

export type PageName = keyof PageVariables

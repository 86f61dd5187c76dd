/** Every page a person sees outside the console: what each is given, and how it is rendered. */
import type { Log } from '#/lib/log.ts'

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

/** Name of a page (templates/pages/{name}.liquid) and what it wants to know. */
export interface PageVariables {
  /** Something went wrong; `error` is a registered code, `retry` a path of ours to go on at. */
  error: { error: string; error_description?: string; request_id?: string; retry?: string; client?: ShownClient }
  /** 503 with Retry-After. */
  busy: { retry?: string }
  /** One field `user_code`. `mistake` is one of: missing, unknown, expired, used, aborted, denied. */
  device_input: HiddenForm & { user_code?: string; mistake?: string; charset?: 'digits' | 'base-20' }
  /** Two buttons: `confirm=yes` (in `hidden` already or not) and `abort=yes`. */
  device_confirm: HiddenForm & { client: ShownClient; user_code: string; network?: string; user_agent?: string }
  device_success: { client?: ShownClient }
  /** Two buttons of the same form: `logout=yes` signs out everywhere, without it only the client is told. */
  logout_confirm: HiddenForm & { client?: ShownClient }
  logged_out: { client?: ShownClient }
}

export type PageName = keyof PageVariables

export interface PageOptions {
  /** What the person reads, best first: `readLocales(cookies, acceptLanguage, ui_locales)`. */
  locales: readonly string[]
  /** Path prefix of the AuthServer, '' for the root. */
  pathPrefix: string
}

export interface Page {
  html: string
  /** Content-Type, Content-Language, Content-Security-Policy, Cache-Control and the like: send them all. */
  headers: Record<string, string>
}

export interface PageRenderer {
  render<Name extends PageName>(name: Name, variables: PageVariables[Name], options: PageOptions): Page
}

export declare const openPages: (options: { templatesDir?: string | undefined; log: Log }) => PageRenderer

/** For one who has `deps` at hand. Synchronous: templates are parsed beforehand and nothing is read. */
export const renderPage = <Name extends PageName>(
  { pages }: { pages: PageRenderer },
  name: Name,
  variables: PageVariables[Name],
  options: PageOptions,
): Page => pages.render(name, variables, options)

/** How every page a person sees outside the console is rendered. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { openCatalogue } from '#/lib/catalogue.ts'
import type { Log } from '#/lib/log.ts'
import type { StaticContent } from '#/lib/static_file.ts'
import { openTemplates, templatesFolder } from '#/lib/template.ts'
import type { PageName, PageVariables, ShownClient } from './page_variables.ts'

export interface PageOptions {
  /** What the person reads, best first: `readLocales` of #/lib/catalogue.ts. */
  locales: readonly string[]
  /** Path prefix of the AuthServer, '' for the root. */
  pathPrefix: string
  /** What people read of the AuthServer: its displayName. */
  product?: string | undefined
  /** Path and query the page may be asked for again by GET: it then offers the other languages. */
  address?: string
  /** No post of this page ever leads to another site. Not for pages on the way to a client: browsers hold redirects to it too. */
  formsStayHere?: boolean
  /** Addresses of pictures on it beside the client's own. */
  pictures?: readonly string[]
}

export interface Page {
  html: string
  /** Content-Type, Content-Language, Content-Security-Policy, Cache-Control and the like: send them all. */
  headers: Record<string, string>
}

export interface PageRenderer {
  /** Synchronous: templates are parsed once and nothing is read. */
  render<Name extends PageName>(name: Name, variables: PageVariables[Name], options: PageOptions): Page
  /** A text of the message catalogue. */
  text(locales: readonly string[], key: string, values?: Record<string, unknown>): string
  readonly stylesheet: StaticFile
  /** By the names under which templates know them. */
  readonly scripts: Readonly<Record<Script, StaticFile>>
}

const scriptNames = ['passkey', 'captcha', 'form_post'] as const
type Script = (typeof scriptNames)[number]

export interface StaticFile extends StaticContent {
  /** Holds the hash of its content, so it may be kept for ever. */
  path: string
}

/** For one who has `deps` at hand. */
export const renderPage = <Name extends PageName>(
  { pages }: { pages: PageRenderer },
  name: Name,
  variables: PageVariables[Name],
  options: PageOptions,
): Page => pages.render(name, variables, options)

export const openPages = ({ templatesDir, log }: { templatesDir?: string | undefined; log: Log }): PageRenderer => {
  const catalogue = openCatalogue(templatesDir && `${templatesDir}/locales`)
  const textsOf = (read: (variable: string) => unknown) => catalogue.pick([String(read('locale'))])
  const templates = openTemplates({
    kind: 'pages',
    overrides: templatesDir,
    onBroken: ({ template, reason }) => log.error({ event: 'template.broken', template, reason }, 'our own template stands in'),
    filters: {
      t: (key, values, read) => textsOf(read).translate(String(key), values),
      /** A point in time, in words of the page's language. */
      moment: (value, _, read) =>
        value instanceof Date
          ? new Intl.DateTimeFormat(String(read('locale')), { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' }).format(value)
          : '',
      json: (value) => JSON.stringify(value) ?? '',
      svg_data: (value) => `data:image/svg+xml;base64,${Buffer.from(String(value)).toString('base64')}`,
      iso: (value) => (value instanceof Date ? value.toISOString() : ''),
    },
  })
  const stylesheet = readStylesheet(templatesDir)
  const scripts = readScripts()
  const languages = namedLanguages(catalogue.locales)
  return {
    stylesheet,
    scripts,
    text: (locales, key, values) => catalogue.pick(locales).translate(key, values),
    render: (name, variables, { locales, pathPrefix, product = 'Signet', address, formsStayHere = false, pictures = [] }) => {
      const { locale } = catalogue.pick(locales)
      const client = 'client' in variables && variables.client ? shown(variables.client) : undefined
      const html = templates.render(name, {
        ...variables,
        client,
        page: name,
        locale,
        prefix: pathPrefix,
        product,
        stylesheet: `${pathPrefix}${stylesheet.path}`,
        scripts: Object.fromEntries(scriptNames.map((script) => [script, `${pathPrefix}${scripts[script].path}`])),
        languages: address === undefined ? [] : offered(languages, locale, address),
        hidden: 'hidden' in variables ? Object.entries(variables.hidden).map(([name, value]) => ({ name, value })) : undefined,
      })
      const more = 'more' in variables ? (variables.more ?? {}) : {}
      const hasScript = scriptNames.some((script) => script === name || script in more)
      return { html, headers: headers(locale, { pictures: [client?.logo_uri, ...pictures], formsStayHere, hasScript }) }
    },
  }
}

interface Language {
  locale: string
  /** In itself: Deutsch. */
  name: string
}

const namedLanguages = (locales: readonly string[]): Language[] =>
  locales.map((locale) => {
    const name = new Intl.DisplayNames([locale], { type: 'language' }).of(locale) ?? locale
    return { locale, name: name.charAt(0).toLocaleUpperCase(locale) + name.slice(1) }
  })

const offered = (languages: readonly Language[], current: string, address: string) => {
  const url = new URL(address, 'http://own.invalid')
  return languages.map(({ locale, name }) => {
    url.searchParams.set('ui_locales', locale)
    return { locale, name, href: `${url.pathname}${url.search}`, current: locale === current }
  })
}

/** Links that a client registered: only what a browser opens as a page of the web. */
const shown = (client: ShownClient): ShownClient => {
  const { name, ...links } = client
  const safe = Object.entries(links).filter(([, link]) => typeof link === 'string' && /^https?:$/.test(URL.parse(link)?.protocol ?? ''))
  return { name, ...Object.fromEntries(safe) }
}

const headers = (
  locale: string,
  { pictures, formsStayHere, hasScript }: { pictures: readonly (string | undefined)[]; formsStayHere: boolean; hasScript: boolean },
): Record<string, string> => ({
  'content-type': 'text/html; charset=utf-8',
  'content-language': locale,
  // No form-action on the way to a client: Chromium holds every redirect after a post to it, and where a client sends a person on is its own affair.
  'content-security-policy': [
    "default-src 'none'",
    "style-src 'self'",
    // Our own files, on the few pages that cannot do without; nothing inline.
    ...(hasScript ? ["script-src 'self'"] : []),
    ["img-src 'self' data:", ...origins(pictures)].join(' '),
    "base-uri 'none'",
    "frame-ancestors 'none'",
    ...(formsStayHere ? ["form-action 'self'"] : []),
  ].join('; '),
  'cache-control': 'no-store',
  // Not no-referrer: browsers then send `Origin: null` with our own posts.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
})

const origins = (addresses: readonly (string | undefined)[]): string[] => {
  const found = addresses.map((address) => (address ? URL.parse(address) : null)).filter((url) => url && /^https?:$/.test(url.protocol))
  // A host may hold `;` and `,`, which would end the directive (CSP 3 section 2.3.1).
  const named = found.map((url) => url?.origin ?? '').filter((origin) => /^https?:\/\/[\w.:[\]-]+$/.test(origin))
  return [...new Set(named)].slice(0, 50)
}

const addressOf = (name: string, text: string, ending: string) =>
  `/static/${name}.${createHash('sha256').update(text).digest('base64url').slice(0, 16)}.${ending}`

/** Not an operator's to replace: they speak with what the server checks. */
const readScripts = (): Record<Script, StaticFile> => {
  const read = (name: Script): StaticFile => {
    const text = readFileSync(`${templatesFolder}pages/${name}.js`, 'utf8')
    return { path: addressOf(name, text, 'js'), type: 'text/javascript', text }
  }
  return { passkey: read('passkey'), captcha: read('captcha'), form_post: read('form_post') }
}

const readStylesheet = (templatesDir: string | undefined): StaticFile => {
  const theirs = templatesDir && `${templatesDir}/pages/pages.css`
  const css = minify(readFileSync(theirs && existsSync(theirs) ? theirs : `${templatesFolder}pages/pages.css`, 'utf8'))
  return { path: addressOf('pages', css, 'css'), type: 'text/css', text: css }
}

/** Comments and white space out; enough for a file that has no strings with either in them. */
const minify = (css: string) =>
  css
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([{};,>]) ?/g, '$1')
    .replace(/: /g, ':')
    .replaceAll(';}', '}')
    .trim()

/** A browser without script, style or pictures: a cookie jar, redirects, and forms that are filled in and sent. */

import { type Dispatcher, request } from 'undici'

export interface Form {
  action: string
  method: string
  /** What is sent when nothing is typed: hidden and preset fields, without buttons. */
  fields: Record<string, string>
  /** Names of every field a person may fill in or tick. */
  names: string[]
  buttons: { name: string; value: string }[]
}

export interface Page {
  status: number
  url: string
  headers: Headers
  html: string
  /** What a person reads. */
  text: string
  forms: Form[]
  /** Where the browser was sent outside of the site; nothing was fetched there. */
  left?: URL
}

export interface Visitor {
  open(url: string, init?: { headers?: Record<string, string> }): Promise<Page>
  /** Sends the page's form (the first one unless named by number) with these fields added. */
  submit(page: Page, values?: Record<string, string>, form?: number): Promise<Page>
  /** One request without following redirects. */
  request(url: string, init?: RequestInit): Promise<Response>
  cookies: Map<string, string>
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }
const decode = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi, (whole, decimal?: string, hex?: string, name?: string) =>
    decimal
      ? String.fromCodePoint(Number(decimal))
      : hex
        ? String.fromCodePoint(Number.parseInt(hex, 16))
        : (entities[name ?? ''] ?? whole),
  )

const attributesOf = (tag: string): Record<string, string> =>
  Object.fromEntries(
    [...tag.matchAll(/([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi)].map((match) => [
      (match[1] ?? '').toLowerCase(),
      decode(match[2] ?? match[3] ?? match[4] ?? ''),
    ]),
  )

export const formsOf = (html: string, url: string): Form[] =>
  [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head = '', inside = '']) => {
    const { action = '', method = 'get' } = attributesOf(head)
    const form: Form = { action: new URL(action || url, url).href, method: method.toUpperCase(), fields: {}, names: [], buttons: [] }
    for (const [, kind = '', rest = ''] of inside.matchAll(/<(input|button|select|textarea)\b([^>]*)>/gi)) {
      const { type = kind === 'button' ? 'submit' : 'text', name, value = '', checked } = attributesOf(rest)
      if (type === 'submit' || type === 'button' || type === 'image') {
        if (type === 'submit') form.buttons.push({ name: name ?? '', value })
        continue
      }
      if (!name) continue
      if (type === 'checkbox' || type === 'radio') {
        form.names.push(name)
        if (checked !== undefined) form.fields[name] = value || 'on'
        continue
      }
      form.fields[name] = value
      if (type !== 'hidden') form.names.push(name)
    }
    return form
  })

const textOf = (html: string): string =>
  decode(
    html
      .replace(/<(head|style|script)\b[\s\S]*?<\/\1>/gi, ' ')
      .replace(/<[^>]+>/g, ' ')
      .replace(/\s+/g, ' '),
  ).trim()

/** What a browser says of a page that a person goes to. Node's fetch would say that a script asks, and servers look at that. */
const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'upgrade-insecure-requests': '1' }

const navigate = async (url: URL, { method = 'GET', body }: RequestInit, headers: Headers): Promise<Response> => {
  for (const [name, value] of Object.entries(navigation)) if (!headers.has(name)) headers.set(name, value)
  if (body instanceof URLSearchParams && !headers.has('content-type')) headers.set('content-type', 'application/x-www-form-urlencoded')
  const {
    statusCode,
    headers: answered,
    body: stream,
  } = await request(url, {
    method: method as Dispatcher.HttpMethod,
    headers: Object.fromEntries(headers),
    ...(body === undefined || body === null ? {} : { body: String(body) }),
  })
  const bytes = await stream.arrayBuffer()
  const pairs = Object.entries(answered).flatMap(([name, value]) => [value ?? []].flat().map((one): [string, string] => [name, one]))
  return new Response([204, 205, 304].includes(statusCode) ? null : bytes, { status: statusCode, headers: pairs })
}

interface Cookie {
  value: string
  path: string
  expires: number
}

export const newVisitor = (site: string, { acceptLanguage = 'en' }: { acceptLanguage?: string } = {}): Visitor => {
  const jar = new Map<string, Cookie>()
  const origin = new URL(site).origin

  const store = (response: Response, url: URL) => {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
      const at = pair.indexOf('=')
      const name = pair.slice(0, at)
      const given = Object.fromEntries(
        attributes.map((attribute) => [attribute.split('=')[0]?.toLowerCase(), attribute.split('=')[1] ?? '']),
      )
      const expires =
        given['max-age'] !== undefined
          ? Date.now() + Number(given['max-age']) * 1000
          : given.expires
            ? Date.parse(given.expires)
            : Number.POSITIVE_INFINITY
      const path = given.path || url.pathname.replace(/\/[^/]*$/, '') || '/'
      if (expires <= Date.now()) jar.delete(`${path};${name}`)
      else jar.set(`${path};${name}`, { value: pair.slice(at + 1), path, expires })
    }
  }
  const cookiesFor = (url: URL): string =>
    [...jar]
      .filter(
        ([, { path, expires }]) =>
          expires > Date.now() && (url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`)),
      )
      .map(([key, { value }]) => `${key.slice(key.indexOf(';') + 1)}=${value}`)
      .join('; ')

  const send = async (address: string, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(address, site)
    const headers = new Headers(init.headers)
    const cookies = cookiesFor(url)
    if (cookies) headers.set('cookie', cookies)
    if (!headers.has('accept')) headers.set('accept', 'text/html,application/xhtml+xml')
    if (!headers.has('accept-language')) headers.set('accept-language', acceptLanguage)
    const response = await navigate(url, init, headers)
    store(response, url)
    return response
  }

  const follow = async (address: string, init: RequestInit): Promise<Page> => {
    let url = new URL(address, site)
    let response = await send(url.href, init)
    for (let hops = 0; response.status >= 300 && response.status < 400; hops++) {
      if (hops > 15) throw new Error(`too many redirects, the last one to ${url.href}`)
      await response.body?.cancel()
      url = new URL(response.headers.get('location') ?? '', url)
      if (url.origin !== origin)
        return { status: response.status, url: url.href, headers: response.headers, html: '', text: '', forms: [], left: url }
      response = await send(url.href)
    }
    const html = await response.text()
    return { status: response.status, url: url.href, headers: response.headers, html, text: textOf(html), forms: formsOf(html, url.href) }
  }

  return {
    open: (url, init = {}) => follow(url, init),
    submit: (page, values = {}, number = 0) => {
      const form = page.forms[number]
      if (!form) throw new Error(`${page.url} (${page.status}) has no form ${number}: ${page.text.slice(0, 300)}`)
      const button = form.buttons[0]
      const sent = new URLSearchParams({ ...form.fields, ...(button?.name ? { [button.name]: button.value } : {}), ...values })
      if (form.method === 'GET') {
        const url = new URL(form.action)
        url.search = sent.toString()
        return follow(url.href, {})
      }
      return follow(form.action, { method: 'POST', body: sent, headers: { origin, 'sec-fetch-site': 'same-origin', referer: page.url } })
    },
    request: send,
    get cookies() {
      return new Map([...jar].map(([key, { value }]) => [key.slice(key.indexOf(';') + 1), value]))
    },
  }
}

/**
 * Goes through the pages of a sign-in: fills in what is asked by its name, sends, and goes on until the browser leaves the site, a page
 * has no form, or a page asks for the same again.
 */
export const walk = async (visitor: Visitor, start: Page, answers: Record<string, string>): Promise<Page> => {
  let page = start
  for (let steps = 0; steps < 10 && !page.left && page.forms[0]; steps++) {
    const [form] = page.forms
    const asked = form.names.filter((name) => name in answers)
    if (form.names.length > 0 && asked.length === 0) return page
    const before = page
    page = await visitor.submit(page, Object.fromEntries(asked.map((name) => [name, answers[name] ?? ''])))
    if (
      page.status >= 400 ||
      (page.forms[0]?.fields.stage !== undefined && page.forms[0].fields.stage === before.forms[0]?.fields.stage && page.url === before.url)
    )
      return page
  }
  return page
}

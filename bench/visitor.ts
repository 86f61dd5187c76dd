/** A browser as far as sign-in pages need one: cookies, redirects, and forms filled in and sent. */
import { type Answer, type Connection, openConnection } from './connection.ts'

export interface Visitor {
  /** Follows redirects while they stay at this origin; answers the last answer, and where the browser would be. */
  visit(address: string): Promise<Arrival>
  /** Sends the first form of a page with these values beside its hidden ones. */
  submit(page: Arrival, values: Record<string, string>): Promise<Arrival>
  /** What a request to this path carries. */
  cookie(path: string): string
  close(): void
}

export interface Arrival extends Answer {
  /** For a redirect that leaves the origin: where to. */
  url: URL
}

const redirectsAtMost = 20

interface Cookie {
  value: string
  path: string
}

export const openVisitor = (origin: string): Visitor => {
  const connection: Connection = openConnection(origin)
  const jar = new Map<string, Cookie>()

  const keep = (answer: Answer): void => {
    for (const line of answer.headers.get('set-cookie') ?? []) {
      const [pair = '', ...attributes] = line.split(/; */)
      const [name = ''] = pair.split('=', 1)
      const attribute = (wanted: string) => attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1)
      const path = attribute('path') ?? '/'
      const value = pair.slice(name.length + 1)
      const over = value === '' || Number(attribute('max-age') ?? 1) <= 0 || new Date(attribute('expires') ?? '9999-01-01') < new Date()
      if (over) jar.delete(`${name} ${path}`)
      else jar.set(`${name} ${path}`, { value: pair, path })
    }
  }
  const cookie = (path: string) =>
    [...jar.values()]
      .filter((kept) => path === kept.path || path.startsWith(kept.path.endsWith('/') ? kept.path : `${kept.path}/`))
      .map(({ value }) => value)
      .join('; ')

  const go = async (method: string, address: URL, form?: URLSearchParams): Promise<Arrival> => {
    let [url, verb, body] = [address, method, form?.toString()]
    for (let hop = 0; hop < redirectsAtMost; hop++) {
      const answer = await connection.send(
        verb,
        url.pathname + url.search,
        {
          accept: 'text/html',
          ...(jar.size ? { cookie: cookie(url.pathname) } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', origin, 'sec-fetch-site': 'same-origin' }),
        },
        body,
      )
      keep(answer)
      const location = answer.headers.get('location')?.[0]
      if (answer.status < 300 || answer.status > 399 || !location) return { ...answer, url }
      url = new URL(location, url)
      if (url.origin !== new URL(origin).origin) return { ...answer, url }
      verb = 'GET'
      body = undefined
    }
    throw new Error(`more than ${redirectsAtMost} redirects, the last to ${url.pathname}`)
  }

  return {
    cookie,
    visit: (address) => go('GET', new URL(address, origin)),
    submit: (page, values) => {
      const [, attributes = '', inside = ''] = /<form([^>]*)>([\s\S]*?)<\/form>/.exec(page.body) ?? []
      if (!inside) throw new Error(`no form at ${page.url.pathname} (${page.status}): ${page.body.slice(0, 300)}`)
      const form = new URLSearchParams()
      for (const [input] of inside.matchAll(/<input[^>]*>/g)) {
        const name = attributeOf(input, 'name')
        if (name) form.set(name, values[name] ?? attributeOf(input, 'value') ?? '')
      }
      return go('POST', new URL(attributeOf(attributes, 'action') || page.url.href, page.url), form)
    },
    close: () => connection.close(),
  }
}

const attributeOf = (tag: string, name: string): string | undefined => {
  const [, quoted, bare] = new RegExp(`\\b${name}=(?:"([^"]*)"|([^\\s>]*))`).exec(tag) ?? []
  return (quoted ?? bare)?.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'")
}

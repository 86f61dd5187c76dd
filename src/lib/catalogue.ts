/**
 * Texts people read, by locale: templates/locales/{locale}.json, flat `key: text` with `{name}` where a value goes. English is complete
 * and stands in for whatever another language lacks; a test holds ours to the same keys. An operator's folder may replace single texts
 * and add languages.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { readCookie } from './cookie.ts'

export interface Texts {
  locale: string
  /** The key itself when no catalogue has it, so that a missing text is seen and nothing breaks. */
  translate(key: string, values?: Record<string, unknown>): string
  has(key: string): boolean
}

export interface Catalogue {
  readonly locales: readonly string[]
  /** The first locale that is there, whole (`de-AT`) or without its last parts (`de`); else English. */
  pick(locales: readonly string[]): Texts
}

const folder = new URL('../../templates/locales/', import.meta.url)
const fallback = 'en'
export const localeCookie = 'signet_locale'
/** A language tag (BCP 47), as far as we look at one. */
export const isLocale = (text: string): boolean => localePattern.test(text)

/** `zh-Hant-TW` → itself, `zh-Hant`, `zh` (RFC 4647 section 3.4). Nothing for what is no language tag. */
export const nearestLocales = (locale: string): string[] =>
  isLocale(locale) ? locale.split('-').map((_, index, parts) => parts.slice(0, parts.length - index).join('-')) : []

const localePattern = /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i

type Messages = Record<string, string>

const readFolder = (path: string | URL): Map<string, Messages> => {
  const found = new Map<string, Messages>()
  for (const file of readdirSync(path)) {
    const locale = /^(.+)\.json$/.exec(file)?.[1]
    if (!locale || !localePattern.test(locale)) continue
    const parsed: unknown = JSON.parse(readFileSync(typeof path === 'string' ? `${path}/${file}` : new URL(file, path), 'utf8'))
    if (!isMessages(parsed)) throw new Error(`${file} is not one object of texts`)
    found.set(locale.toLowerCase(), parsed)
  }
  return found
}

const isMessages = (value: unknown): value is Messages =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === 'string')

export const openCatalogue = (overrides?: string): Catalogue => {
  const own = readFolder(folder)
  const english = own.get(fallback) ?? {}
  for (const [locale, messages] of overrides && existsSync(overrides) ? readFolder(overrides) : []) {
    own.set(locale, { ...own.get(locale), ...messages })
  }
  const byLocale = new Map<string, Texts>()
  for (const [locale, messages] of own) {
    const all = new Map(Object.entries({ ...english, ...messages }))
    byLocale.set(locale, {
      locale,
      has: (key) => all.has(key),
      translate: (key, values = {}) =>
        (all.get(key) ?? key).replace(/\{(\w+)\}/g, (hole, name: string) => (name in values ? String(values[name] ?? '') : hole)),
    })
  }
  const texts = (locale: string) => byLocale.get(locale)
  return {
    locales: [...byLocale.keys()].sort(),
    pick: (locales) => {
      for (const wanted of locales) {
        for (const locale of nearestLocales(wanted.toLowerCase())) {
          const found = texts(locale)
          if (found) return found
        }
      }
      const english = texts(fallback)
      if (!english) throw new Error('templates/locales/en.json is missing')
      return english
    },
  }
}

/** What the person reads, best first: what the client asked for (`ui_locales`), what they chose, what their browser says. */
export const readLocales = ({
  ui_locales,
  cookies,
  acceptLanguage,
}: {
  ui_locales?: string | readonly string[] | undefined
  cookies?: string | undefined
  acceptLanguage?: string | undefined
}): string[] => {
  const asked = typeof ui_locales === 'string' ? ui_locales.slice(0, 200).split(' ') : (ui_locales ?? [])
  const chosen = readCookie(cookies, localeCookie)
  return [...asked, ...(chosen ? [chosen] : []), ...accepted(acceptLanguage ?? '')]
    .filter((locale) => localePattern.test(locale))
    .slice(0, 20)
}

/** RFC 9110 section 12.5.4. */
const accepted = (header: string): string[] =>
  header
    .slice(0, 500)
    .split(',')
    .map((part) => {
      const [locale = '', ...parameters] = part.trim().split(';')
      const q = parameters.map((parameter) => /^\s*q=([\d.]+)\s*$/.exec(parameter)?.[1]).find((value) => value !== undefined)
      return { locale: locale.trim(), weight: q === undefined ? 1 : Number(q) }
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ locale }) => locale)

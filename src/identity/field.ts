/** What a field of a user or group may be. Checked here once for REST, manifests and import. */
import { z } from 'zod'
import { emailPattern } from '#/lib/mail_address.ts'
import { type FieldError, Problem } from '#/lib/problem.ts'

/** Control, format (zero width, direction) and private characters, lone surrogates; and white space but the plain blank. */
const unprintable = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u
/** Names of people are written with these two in Persian and Indic scripts. */
const joiners = /[\u200c\u200d]/g

/** A line that people read: NFC, printable, no white space around it. */
const line = (most: number, allowed?: RegExp) =>
  z
    .string()
    .max(most * 4)
    .refine((text) => !unprintable.test(allowed ? text.replace(allowed, '') : text), 'has characters that can not be printed')
    .transform((text) => text.normalize('NFC').trim())
    .refine((text) => text.length > 0, 'is empty')
    .refine((text) => [...text].length <= most, `has more than ${most} characters`)

export const nameField = line(255)

export const emailField = line(320).refine((text) => emailPattern.test(text), 'is not an e-mail address')

export const personNameField = line(255, joiners)

export const localeField = z
  .string()
  .max(35)
  .transform((text, context) => {
    try {
      return new Intl.Locale(text).toString()
    } catch {
      context.addIssue({ code: 'custom', message: 'is not a language tag such as de or pt-BR' })
      return z.NEVER
    }
  })

const attributeBytes = 16_384
const attributeDepth = 6

/** Why a value can not be kept as an attribute, undefined when it can: what jsonb refuses, and what would grow without bound. */
const fault = (value: unknown, depth: number): string | undefined => {
  if (depth > attributeDepth) return `is nested deeper than ${attributeDepth}`
  if (value === null || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'has a number that JSON does not know'
  if (typeof value === 'string')
    return value.includes('\0') || !value.isWellFormed() ? 'has a text with NUL or half a character' : undefined
  if (typeof value !== 'object') return 'has a value that JSON does not know'
  if (Array.isArray(value)) return firstFault(value, depth)
  for (const key of Object.keys(value)) {
    if (key === '' || key === '__proto__' || [...key].length > 200 || unprintable.test(key))
      return 'has a name that is empty, too long or not printable'
  }
  return firstFault(Object.values(value), depth)
}

const firstFault = (values: unknown[], depth: number): string | undefined => {
  for (const value of values) {
    const found = fault(value, depth + 1)
    if (found) return found
  }
  return undefined
}

export const attributesField = z.record(z.string(), z.unknown()).superRefine((attributes, context) => {
  const message =
    fault(attributes, 0) ??
    (Buffer.byteLength(JSON.stringify(attributes)) > attributeBytes ? `are larger than ${attributeBytes} bytes` : undefined)
  if (message) context.addIssue({ code: 'custom', message })
})

/** A list of names, each once. */
export const namesField = (most: number) => z.array(nameField).max(most)

const escapePointer = (part: PropertyKey): string => String(part).replaceAll('~', '~0').replaceAll('/', '~1')

/** The parsed value. Throws a Problem that names every bad field, those known before among them. */
export const parseFields = <Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  knownErrors: readonly FieldError[] = [],
): z.output<Schema> => {
  const parsed = schema.safeParse(value)
  if (parsed.success && knownErrors.length === 0) return parsed.data
  const errors = (parsed.error?.issues ?? []).flatMap((issue) => {
    const path = issue.path.map((part) => `/${escapePointer(part)}`).join('')
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ pointer: `${path}/${escapePointer(key)}`, detail: 'is not a field of it' }))
    return [{ pointer: path, detail: issue.message }]
  })
  throw new Problem('invalid', { errors: [...knownErrors, ...errors] })
}

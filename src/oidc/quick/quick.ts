/**
 * The quick way. Most requests are right, plain and all alike, and on them `oidc-provider` spends some ten times what the answer itself costs:
 * 727 µs of processor for a client's own token whose signature takes 30. A quick endpoint knows just the plain case. It answers what is right in every
 * respect; at the first thing that is wrong, unusual or merely unknown to it, it answers nothing, and the request goes the library's way as though
 * it had never been here. So there is one place that refuses and says why, and a request can be accepted here only for reasons that stand in one short file.
 *
 * Until it is sure a quick endpoint changes nothing. What it then changes is one statement, the same that the library's way ends in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Client } from 'oidc-provider'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Db } from '#/lib/sql.ts'
import type { ApplicationAccess } from '../application_access.ts'
import type { Claims } from '../claims.ts'
import type { Keyring } from '../keyring.ts'

export interface QuickDeps {
  db: Db
  log: Log
  clock: Clock
  issuer: string
  keyring: () => Keyring
  claims: Claims
  access: ApplicationAccess
  /** A client that is known, in force and ready to be used; undefined when the library's way must make it first. */
  ready: (client_id: string) => Client | undefined
}

export interface QuickRequest {
  request: IncomingMessage
  response: ServerResponse
  form: Form
}

/** True when it was answered. */
export type Quick = (deps: QuickDeps, quick: QuickRequest) => boolean | Promise<boolean>

/** Parameters by name, each there once and not empty. */
export type Form = ReadonlyMap<string, string>

/** Undefined for whatever a plain client would not send: repeated, empty or malformed parameters. */
export const readForm = (text: string): Form | undefined => {
  const form = new Map<string, string>()
  if (text === '') return form
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=')
    if (at < 1) return undefined
    const name = decode(pair.slice(0, at))
    const value = decode(pair.slice(at + 1))
    // PostgreSQL keeps no NUL.
    if (name === undefined || value === undefined || value === '' || value.includes('\0') || form.has(name)) return undefined
    form.set(name, value)
  }
  return form
}

const decode = (text: string): string | undefined => {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

export const hasOnly = (form: Form, names: ReadonlySet<string>): boolean => {
  for (const name of form.keys()) if (!names.has(name)) return false
  return true
}

/** Headers with which a request is not plain: another site's script, a proof of possession, an attestation. */
const unusual = ['origin', 'dpop', 'oauth-client-attestation', 'oauth-client-attestation-pop', 'content-encoding', 'expect'] as const

export const isPlain = ({ headers }: IncomingMessage): boolean => unusual.every((name) => headers[name] === undefined)

const jsonHeaders = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  vary: 'Origin',
  'access-control-allow-origin': '*',
}

export const answerJson = (response: ServerResponse, body: object): true => {
  const text = JSON.stringify(body)
  response.writeHead(200, { ...jsonHeaders, 'content-length': Buffer.byteLength(text) })
  response.end(text)
  return true
}

export const secondsNow = (clock: Clock): number => Math.floor(clock().getTime() / 1000)

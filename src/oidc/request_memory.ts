/**
 * What one statement found out for the steps of a request that ask for it one after another. `oidc-provider` looks up a token, then its
 * grant, its person and its session, each through the adapter; here the first look-up brings them all, and the others find them here.
 */
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { GrantWithHolder, Holder, OwnSession, StoredPayload } from '#/model/grants.ts'

/** What is to be consumed together with storing its successor, so that both happen or neither. */
export interface Consuming {
  kind: 'AuthorizationCode' | 'RefreshToken' | 'DeviceCode'
  hash: Buffer
  grant_id: string | undefined
}

export interface LoadedSession {
  uid: string
  payload: StoredPayload
  expires_at: Date
}

/** The session as the browser's cookie found it, to see whether there is anything to write. */
export interface FoundByCookie {
  uid: string
  written: string
  token: string
  touchedAt: number
  /** Types of second factors that were proven. */
  factors: readonly string[]
}

export interface RequestMemory {
  loaded?: FoundByCookie | undefined
  grant?: GrantWithHolder | undefined
  holder?: Holder | undefined
  session?: LoadedSession | undefined
  consuming?: Consuming | undefined
  /** The JWT access token that came, read and verified. */
  jwt?: { value: string; found: Promise<StoredPayload | undefined> } | undefined
  /** Seconds since 1970, of the JWT that was found under that jti. */
  jwtExpiry?: { jti: string; exp: number } | undefined
}

const memories = new WeakMap<object, RequestMemory>()

export const memoryOfContext = (context: KoaContextWithOIDC | object): RequestMemory => {
  let memory = memories.get(context)
  if (!memory) {
    memory = {}
    memories.set(context, memory)
  }
  return memory
}

/** Of the request that runs; outside of one, a memory that is forgotten at once. */
export const requestMemory = (): RequestMemory => {
  const context = Provider.ctx
  return context ? memoryOfContext(context) : {}
}

/** A row that came with its grant, the grant's person and maybe the session it lives in. */
export const rememberRow = (row: GrantWithHolder & OwnSession, session_uid: unknown): void => {
  const memory = requestMemory()
  memory.grant = row
  memory.holder = row
  if (typeof session_uid === 'string' && row.session_payload && row.session_expires_at)
    memory.session = { uid: session_uid, payload: row.session_payload, expires_at: row.session_expires_at }
}

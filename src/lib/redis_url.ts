/** Where Redis answers. */
import { Secret } from './secret.ts'
import { decodePart, hostOf } from './url_parts.ts'

export interface RedisAddress {
  host: string
  port: number
  tls: boolean
  /** Undefined: the one that Redis calls `default`. */
  user: string | undefined
  password: Secret | undefined
}

export const redisUrlWanted =
  'wants redis://user:password@redis.example.com:6379, redis://:password@… or rediss://… (TLS), what is special in user and password percent-encoded'

/** Undefined when it is not such an address. The number of a database is taken, and means nothing: channels belong to none. */
export const parseRedisUrl = (text: string): RedisAddress | undefined => {
  const url = URL.parse(text)
  if (!url || !/^rediss?:$/.test(url.protocol) || !/^(\/\d{0,4})?$/.test(url.pathname) || url.hash || url.search) return undefined
  const host = hostOf(url)
  const user = decodePart(url.username)
  const password = decodePart(url.password)
  if (host === undefined || user === undefined || password === undefined || (user && !password) || url.port === '0') return undefined
  return {
    host,
    port: Number(url.port) || 6379,
    tls: url.protocol === 'rediss:',
    user: user || undefined,
    password: password ? new Secret(password) : undefined,
  }
}

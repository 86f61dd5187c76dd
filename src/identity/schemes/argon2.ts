/**
 * Argon2 (RFC 9106) as PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. Ours, and what others write:
 * Django puts `argon2` before it, OpenLDAP `{ARGON2}`.
 */
import { type Argon2Algorithm, argon2 as argon2Callback, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { parseBase64, renderBase64 } from './base64.ts'
import type { Scheme } from './scheme.ts'

const argon2Async = promisify(argon2Callback)

export interface Argon2Parameters {
  /** KiB. */
  memory: number
  passes: number
  parallelism: number
}

/** The first of OWASP's recommendations (19 MiB, two passes): cheap enough for a flood, dear enough for a thief. */
export const argon2Parameters: Argon2Parameters = { memory: 19_456, passes: 2, parallelism: 1 }

const saltBytes = 16
const tagBytes = 32

const most = { memory: 131_072, passes: 32, parallelism: 16, work: 1_048_576 }

const pattern =
  /^(?:argon2|\{ARGON2\})?\$(argon2id|argon2i|argon2d)\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{8,128}={0,2})\$([A-Za-z0-9+/]{16,172}={0,2})$/

/** A new hash of a password with a salt of its own. Runs in a thread of libuv. */
export const hashArgon2id = async (plain: string): Promise<string> => {
  const nonce = randomBytes(saltBytes)
  const tag = await argon2Async('argon2id', { message: plain, nonce, tagLength: tagBytes, ...argon2Parameters })
  const { memory, passes, parallelism } = argon2Parameters
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${renderBase64(nonce)}$${renderBase64(tag)}`
}

export const argon2: Scheme = {
  parse: (text) => {
    const match = pattern.exec(text)
    if (!match) return undefined
    const [, algorithm = '', m, t, p, salt = '', hash = ''] = match
    const parameters = { memory: Number(m), passes: Number(t), parallelism: Number(p) }
    const { memory, passes, parallelism } = parameters
    const nonce = parseBase64(salt)
    const tag = parseBase64(hash)
    if (!nonce || !tag || passes < 1 || parallelism < 1 || memory < 8 * parallelism || nonce.length < 8 || tag.length < 12)
      return { refused: 'has impossible Argon2 parameters' }
    if (memory > most.memory || passes > most.passes || parallelism > most.parallelism || memory * passes > most.work)
      return { refused: `costs too much: at most m=${most.memory}, t=${most.passes}, p=${most.parallelism} and m·t=${most.work} are taken` }
    return {
      form: `${algorithm} ${memory} ${passes} ${parallelism}`,
      blocks: false,
      isCurrent:
        algorithm === 'argon2id' &&
        memory === argon2Parameters.memory &&
        passes === argon2Parameters.passes &&
        parallelism === argon2Parameters.parallelism &&
        nonce.length >= saltBytes &&
        tag.length >= tagBytes,
      verify: async (plain) =>
        timingSafeEqual(
          await argon2Async(algorithm as Argon2Algorithm, { message: plain, nonce, tagLength: tag.length, ...parameters }),
          tag,
        ),
    }
  },
}

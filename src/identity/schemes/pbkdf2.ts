/**
 * PBKDF2 (RFC 8018) as it is written by Django (`pbkdf2_sha256$iterations$salt$hash`), in PHC strings (`$pbkdf2-sha256$i=…,l=…$salt$hash`), by passlib
 * (`$pbkdf2-sha256$iterations$salt$hash`), Werkzeug (`pbkdf2:sha256:iterations$salt$hash in hex`) and OpenLDAP (`{PBKDF2-SHA256}iterations$salt$hash`).
 */
import { pbkdf2 as pbkdf2Callback, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { parseBase64 } from './base64.ts'
import type { Scheme } from './scheme.ts'

const pbkdf2Async = promisify(pbkdf2Callback)

const most = { iterations: 3_000_000, hashBytes: 128, saltBytes: 256 }
const shortestHash = 16

interface Parts {
  digest: string
  iterations: number
  salt: Buffer | undefined
  hash: Buffer | undefined
}

/** Each is asked in turn: what it finds in a text of its form. */
const forms: ((text: string) => Parts | undefined)[] = [
  function django(text) {
    const [, digest = '', iterations, salt = '', hash = ''] = /^pbkdf2_(sha1|sha256|sha512)\$(\d{1,9})\$([^$]*)\$([^$]+)$/.exec(text) ?? []
    return digest ? { digest, iterations: Number(iterations), salt: Buffer.from(salt), hash: parseBase64(hash) } : undefined
  },
  function phc(text) {
    const [, digest = '', iterations, length, salt = '', hash = ''] =
      /^\$pbkdf2-(sha1|sha256|sha512)\$(?:v=\d+\$)?i=(\d{1,9})(?:,l=(\d{1,4}))?\$([^$]*)\$([^$]+)$/.exec(text) ?? []
    const bytes = parseBase64(hash)
    if (!digest || (length && Number(length) !== bytes?.length)) return undefined
    return { digest, iterations: Number(iterations), salt: parseBase64(salt), hash: bytes }
  },
  function passlib(text) {
    const [whole, digest = 'sha1', iterations, salt = '', hash = ''] =
      /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(\d{1,9})\$([^$]*)\$([^$]+)$/.exec(text) ?? []
    return whole ? { digest, iterations: Number(iterations), salt: parseBase64(salt), hash: parseBase64(hash) } : undefined
  },
  function werkzeug(text) {
    const [, digest = '', iterations, salt = '', hash = ''] =
      /^pbkdf2:(sha1|sha256|sha512):(\d{1,9})\$([^$]*)\$((?:[0-9a-f]{2})+)$/.exec(text) ?? []
    return digest ? { digest, iterations: Number(iterations), salt: Buffer.from(salt), hash: Buffer.from(hash, 'hex') } : undefined
  },
  function ldap(text) {
    const [whole, digest = 'sha1', iterations, salt = '', hash = ''] =
      /^\{PBKDF2(?:-(SHA1|SHA256|SHA512))?\}(\d{1,9})\$([^$]*)\$([^$]+)$/i.exec(text) ?? []
    return whole
      ? { digest: digest.toLowerCase(), iterations: Number(iterations), salt: parseBase64(salt), hash: parseBase64(hash) }
      : undefined
  },
]

export const pbkdf2: Scheme = {
  parse: (text) => {
    let parts: Parts | undefined
    for (const form of forms) parts ??= form(text)
    if (!parts) return undefined
    const { digest, iterations, salt, hash } = parts
    if (!salt || !hash || iterations < 1 || hash.length < shortestHash || hash.length > most.hashBytes || salt.length > most.saltBytes)
      return { refused: 'has an impossible salt, hash or number of iterations' }
    // Each block of the digest's length costs all iterations again.
    const blocks = Math.ceil(hash.length / { sha1: 20, sha256: 32, sha512: 64 }[digest as 'sha1' | 'sha256' | 'sha512'])
    if (iterations * blocks > most.iterations) return { refused: `costs too much: at most ${most.iterations} iterations are taken` }
    return {
      form: `pbkdf2 ${digest} ${iterations * blocks}`,
      blocks: false,
      isCurrent: false,
      verify: async (plain) => timingSafeEqual(await pbkdf2Async(plain, salt, iterations, hash.length, digest), hash),
    }
  },
}

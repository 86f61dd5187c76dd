/**
 * scrypt (RFC 7914) as it is written by Django (`scrypt$N$salt$r$p$hash`), in PHC strings (`$scrypt$ln=…,r=…,p=…$salt$hash`) and by Werkzeug
 * (`scrypt:N:r:p$salt$hash in hex`).
 */
import { type ScryptOptions, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { parseBase64 } from './base64.ts'
import type { Scheme } from './scheme.ts'

const scryptAsync = promisify<string, Buffer, number, ScryptOptions, Buffer>(scryptCallback)

const most = { memoryBytes: 128 * 1_048_576, work: 2_097_152, hashBytes: 128, saltBytes: 256 }
const shortestHash = 16

interface Parts {
  N: number
  r: number
  p: number
  salt: Buffer | undefined
  hash: Buffer | undefined
}

/** Each is asked in turn: what it finds in a text of its form. */
const forms: ((text: string) => Parts | undefined)[] = [
  function django(text) {
    const [, N, salt = '', r, p, hash = ''] = /^scrypt\$(\d{1,8})\$([^$]*)\$(\d{1,3})\$(\d{1,3})\$([^$]+)$/.exec(text) ?? []
    return N ? { N: Number(N), r: Number(r), p: Number(p), salt: Buffer.from(salt), hash: parseBase64(hash) } : undefined
  },
  function phc(text) {
    const [, ln, r, p, salt = '', hash = ''] = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([^$]*)\$([^$]+)$/.exec(text) ?? []
    return ln ? { N: 2 ** Number(ln), r: Number(r), p: Number(p), salt: parseBase64(salt), hash: parseBase64(hash) } : undefined
  },
  function werkzeug(text) {
    const [, N, r, p, salt = '', hash = ''] = /^scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3})\$([^$]*)\$((?:[0-9a-f]{2})+)$/.exec(text) ?? []
    return N ? { N: Number(N), r: Number(r), p: Number(p), salt: Buffer.from(salt), hash: Buffer.from(hash, 'hex') } : undefined
  },
]

export const scrypt: Scheme = {
  parse: (text) => {
    let parts: Parts | undefined
    for (const form of forms) parts ??= form(text)
    if (!parts) return undefined
    const { N, r, p, salt, hash } = parts
    if (!salt || !hash || N < 2 || !Number.isInteger(Math.log2(N)) || r < 1 || p < 1)
      return { refused: 'has an impossible salt, hash, N, r or p' }
    if (hash.length < shortestHash || hash.length > most.hashBytes || salt.length > most.saltBytes)
      return { refused: 'has a salt or hash of an impossible length' }
    const memory = 128 * N * r
    if (memory > most.memoryBytes || N * r * p > most.work)
      return { refused: 'costs too much: at most 128 MiB and N·r·p = 2097152 are taken' }
    return {
      form: `scrypt ${N} ${r} ${p}`,
      blocks: false,
      isCurrent: false,
      // What OpenSSL counts is a little more than 128·N·r.
      verify: async (plain) =>
        timingSafeEqual(await scryptAsync(plain, salt, hash.length, { N, r, p, maxmem: memory + 128 * r * p + 1_048_576 }), hash),
    }
  },
}

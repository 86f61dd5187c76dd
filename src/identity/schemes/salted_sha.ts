/** What LDAP servers keep in userPassword (RFC 2307 and its followers): `{SSHA}`, `{SHA}`, `{SSHA256}`, … and base64 of the digest, then of the salt. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { parseBase64 } from './base64.ts'
import type { Scheme } from './scheme.ts'

const digests = {
  MD5: { algorithm: 'md5', bytes: 16 },
  SHA: { algorithm: 'sha1', bytes: 20 },
  SHA256: { algorithm: 'sha256', bytes: 32 },
  SHA384: { algorithm: 'sha384', bytes: 48 },
  SHA512: { algorithm: 'sha512', bytes: 64 },
} as const

const longestSalt = 128

export const salted_sha: Scheme = {
  parse: (text) => {
    const match = /^\{(S?)(MD5|SHA|SHA256|SHA384|SHA512)\}(.+)$/i.exec(text)
    if (!match) return undefined
    const [, salted, name = '', encoded = ''] = match
    const { algorithm, bytes } = digests[name.toUpperCase() as keyof typeof digests]
    const decoded = parseBase64(encoded)
    const saltBytes = (decoded?.length ?? 0) - bytes
    if (!decoded || saltBytes > longestSalt || (salted ? saltBytes < 1 : saltBytes !== 0))
      return { refused: 'has a digest or salt of an impossible length' }
    const digest = decoded.subarray(0, bytes)
    const salt = decoded.subarray(bytes)
    return {
      form: 'salted_sha',
      blocks: false,
      isCurrent: false,
      verify: (plain) => timingSafeEqual(createHash(algorithm).update(plain).update(salt).digest(), digest),
    }
  },
}

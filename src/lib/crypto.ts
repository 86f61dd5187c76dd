import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes, randomFillSync, timingSafeEqual } from 'node:crypto'
import type { Secret } from './secret.ts'

/** SHA-256, the form in which tokens and codes are stored. They are random and long, so a plain hash is enough. */
export const sha256 = (value: string | Buffer): Buffer => hash('sha256', value, 'buffer')

/** Random bytes that wait to be used: asking the system for a page at once costs a hundredth a token. */
const pool = Buffer.alloc(4096)
let used = pool.length

/** A new token: `bytes` random bytes as base64url. */
export const randomToken = (bytes = 32): string => {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const token = pool.toString('base64url', used, used + bytes)
  pool.fill(0, used, used + bytes)
  used += bytes
  return token
}

/** Compares in a time that does not depend on where two values differ. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b))

/** Encrypts what must be read back: AES-256-GCM under a key derived from the root secret, one key for each purpose. */
export interface Vault {
  /** `context` (a row's identity) is authenticated, so a ciphertext moved to another row does not open. */
  seal(plaintext: string | Buffer, context: string): Buffer
  /** Throws when the ciphertext was changed, belongs to another context or another root secret. */
  open(sealed: Buffer, context: string): Buffer
}

const version = 1
const nonceBytes = 12
const tagBytes = 16

export const openVault = (root: Secret, purpose: string): Vault => {
  const key = deriveKey(root, purpose)
  return {
    seal: (plaintext, context) => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(plaintext as Buffer), cipher.final()])
      return Buffer.concat([Buffer.from([version]), nonce, cipher.getAuthTag(), body])
    },
    open: (sealed, context) => {
      if (sealed[0] !== version || sealed.length < 1 + nonceBytes + tagBytes) throw new Error('not something this program sealed')
      const nonce = sealed.subarray(1, 1 + nonceBytes)
      const tag = sealed.subarray(1 + nonceBytes, 1 + nonceBytes + tagBytes)
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(context)).setAuthTag(tag)
      return Buffer.concat([decipher.update(sealed.subarray(1 + nonceBytes + tagBytes)), decipher.final()])
    },
  }
}

/** 32 bytes for one purpose out of the root secret (HKDF, RFC 5869). */
export const deriveKey = (root: Secret, purpose: string): Buffer => Buffer.from(hkdfSync('sha256', root.reveal(), 'signet', purpose, 32))

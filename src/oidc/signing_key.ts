import './known_runtime.ts'

import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { ExternalSigningKey } from 'oidc-provider'
import type { Vault } from '#/lib/crypto.ts'
import type { SigningAlg, SigningKeyRow } from '#/model/signing_keys.ts'

const generate = promisify(generateKeyPair)

const generators: Record<SigningAlg, () => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>> = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  RS256: () => generate('rsa', { modulusLength: 2048 }),
  EdDSA: () => generate('ed25519', {}),
}

/** A key that signs, opened once and then used without another import. */
export interface SigningKey {
  kid: string
  alg: SigningAlg
  publicKey: KeyObject
  publicJwk: JWK
  activeFrom: Date
  expiresAt: Date | null
  /** A JWS signature; synchronous, since a P-256 signature takes less time than a thread's turn. */
  sign(data: Buffer | string): Buffer
}

export const newSigningKey = async (alg: SigningAlg, issuer: string, vault: Vault) => {
  const { privateKey, publicKey } = await generators[alg]()
  const jwk = publicKey.export({ format: 'jwk' }) as JWK
  const kid = await calculateJwkThumbprint(jwk)
  return {
    kid,
    issuer,
    alg,
    public_jwk: { ...jwk, kid, alg, use: 'sig' },
    sealed_private: vault.seal(privateKey.export({ format: 'der', type: 'pkcs8' }), `${issuer} ${kid}`),
  }
}

export const openSigningKey = (row: SigningKeyRow, vault: Vault): SigningKey => {
  const privateKey = createPrivateKey({ key: vault.open(row.sealed_private, `${row.issuer} ${row.kid}`), format: 'der', type: 'pkcs8' })
  const digest = row.alg === 'EdDSA' ? null : 'sha256'
  const signer = row.alg === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const } : privateKey
  return {
    kid: row.kid,
    alg: row.alg,
    publicKey: createPublicKey(privateKey),
    publicJwk: row.public_jwk as JWK,
    activeFrom: row.active_from,
    expiresAt: row.expires_at,
    sign: (data) => sign(digest, typeof data === 'string' ? Buffer.from(data) : data, signer),
  }
}

/** Our key as `oidc-provider` takes it: it asks for signatures and never sees the private part. */
export class ProviderKey extends ExternalSigningKey {
  readonly #key: SigningKey
  constructor(key: SigningKey) {
    super()
    this.#key = key
    // Accessors that its types call read-only; the program has setters for both.
    Object.assign(this, { kid: key.kid, alg: key.alg })
  }
  override keyObject(): KeyObject {
    return this.#key.publicKey
  }
  override sign(data: Buffer): Buffer {
    return this.#key.sign(data)
  }
}

import type { Keyring } from './keyring.ts'
import type { SigningKey } from './signing_key.ts'

const headers = new WeakMap<SigningKey, string>()

/** A plain ID token: what the library would sign, by the key it would take. */
export const signIdToken = (keyring: Keyring, alg: string | undefined, claims: Record<string, unknown>): string => {
  const key = [...keyring.signers.values()].find((one) => one.alg === alg)
  if (!key) throw new Error(`${keyring.issuer} has no key for ${alg}`)
  let header = headers.get(key)
  if (header === undefined) {
    header = Buffer.from(JSON.stringify({ alg: key.alg, kid: key.kid })).toString('base64url')
    headers.set(key, header)
  }
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${key.sign(signed).toString('base64url')}`
}

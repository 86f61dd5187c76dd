/** Registered words of OAuth and OpenID Connect that AuthClient and AuthPolicy share. */
import { z } from 'zod'

export const grantTypes = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'implicit',
] as const
export type GrantType = (typeof grantTypes)[number]

/** Short words people write for the registered ones. */
const grantTypeAliases: Record<string, string> = {
  device_code: 'urn:ietf:params:oauth:grant-type:device_code',
  token_exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
  'token-exchange': 'urn:ietf:params:oauth:grant-type:token-exchange',
}

/** The registered name of a grant; `device_code` and `token_exchange` are understood for short. */
export const grantType = z
  .preprocess((value) => (typeof value === 'string' ? (grantTypeAliases[value] ?? value) : value), z.enum(grantTypes))
  .meta({ crd: { type: 'string', enum: [...grantTypes, 'device_code', 'token_exchange'] } })

export const responseTypes = ['code', 'id_token', 'code id_token', 'id_token token', 'code token', 'code id_token token', 'none'] as const
export type ResponseType = (typeof responseTypes)[number]

/** Words in any order mean the same (RFC 6749 section 3.1.1); stored in ours. */
const inOurOrder = (value: unknown) =>
  typeof value === 'string'
    ? (responseTypes.find((known) => known.split(' ').sort().join(' ') === value.split(' ').sort().join(' ')) ?? value)
    : value

export const responseType = z.preprocess(inOurOrder, z.enum(responseTypes)).meta({ crd: { type: 'string' } })

export const authMethods = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'] as const
export type AuthMethod = (typeof authMethods)[number]
export const authMethod = z.enum(authMethods)

/** Algorithms that a key of the client signs with. */
export const clientSigningAlg = z.enum(['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'EdDSA', 'Ed25519'])
/** Algorithms that we sign with. */
export const serverSigningAlg = z.enum(['ES256', 'RS256', 'EdDSA'])

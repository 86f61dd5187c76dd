/**
 * Passkeys and security keys (WebAuthn). The ceremonies are checked by the library; ours is what stands around it: whose credential it is,
 * that its counter goes up in the statement that uses it, and which makes are let in.
 *
 * Asked for without a user, a passkey stands alone, so it must have verified the person itself. Beside a password, touching it is enough
 * unless the policy says more.
 */
import type { AuthenticationResponseJSON, PublicKeyCredentialRequestOptionsJSON, RegistrationResponseJSON } from '@simplewebauthn/server'
import { z } from 'zod'
import { randomToken } from '#/lib/crypto.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { type CredentialRecord, findCredential, listCredentialIds, useCredential } from '#/model/authenticators.ts'
import { addFactor } from '../authenticators.ts'
import { type Factor, type FactorDeps, type Refused, refused, type Site } from '../factor.ts'
import { findChainFault } from '../passkey_policy.ts'

const patienceMs = 5 * 60_000
/** EdDSA, ES256, RS256 (COSE): said here, so that servers on different runtimes agree. */
const algorithms = [-8, -7, -257]

export const webauthn: Factor = {
  offer: async ({ db, site, passkeys = {} }, user) => {
    const { generateRegistrationOptions } = await loadWebauthn()
    const present = await listCredentialIds(db, { user_id: user.id, rp_id: site.rpId })
    const options = await generateRegistrationOptions({
      rpName: site.name,
      rpID: site.rpId,
      // Bytes that say nothing to whoever reads them (WebAuthn section 14.6.1).
      userID: userHandleOf(user.id),
      userName: user.username,
      userDisplayName: user.name ?? user.username,
      timeout: patienceMs,
      attestationType: passkeys.attestation?.conveyance ?? 'none',
      excludeCredentials: present.map(describe),
      authenticatorSelection: {
        residentKey: passkeys.residentKey ?? 'preferred',
        userVerification: passkeys.userVerification ?? 'preferred',
      },
      supportedAlgorithmIDs: algorithms,
    })
    return { kept: options.challenge, passkey: options }
  },

  confirm: async (deps, user, { kept, credential, name }, change, now) => {
    const record = await checkRegistration(deps, { kept, credential }, now)
    if ('kind' in record) return record
    const row = { authenticator_id: uuidv7(now), user_id: user.id, type: 'webauthn', name, credential: record } as const
    return { kind: 'added', authenticator: await addFactor(deps.db, row, change, now) }
  },

  ask: async ({ db, site, passkeys = {} }, user) => {
    const challenge = randomToken()
    const options = anyPasskey(site, challenge)
    if (!user) return { kept: challenge, passkey: options }
    const present = await listCredentialIds(db, { user_id: user.id, rp_id: site.rpId })
    const allowCredentials = present.map((credential) => ({ ...describe(credential), type: 'public-key' as const }))
    return { kept: challenge, passkey: { ...options, userVerification: passkeys.userVerification ?? 'preferred', allowCredentials } }
  },

  verify: async ({ db, site, passkeys = {} }, user, { kept, credential }, now) => {
    const response = parse(assertionShape, credential)
    if (!response || !isChallenge(kept)) return refused('the response is not one of a passkey')
    const found = await findCredential(db, { credential_id: Buffer.from(response.id, 'base64url'), rp_id: site.rpId })
    if (!found) return refused('the passkey is unknown here')
    if (user && found.user_id !== user.id) return refused('the passkey is of someone else')
    const { userHandle } = response.response
    // Who is not known yet is told by the passkey, which must say so itself (WebAuthn section 7.2 step 6).
    if (userHandle === undefined ? !user : userHandle !== userHandleOf(found.user_id).toString('base64url'))
      return refused('the passkey does not name its owner')
    const { verifyAuthenticationResponse } = await loadWebauthn()
    const checked = await attempt(() =>
      verifyAuthenticationResponse({
        response: response as AuthenticationResponseJSON,
        expectedChallenge: kept,
        expectedOrigin: site.origin,
        expectedRPID: site.rpId,
        requireUserVerification: !user || passkeys.userVerification === 'required',
        credential: { id: response.id, publicKey: new Uint8Array(found.public_key), counter: found.counter },
      }),
    )
    if ('kind' in checked) return checked
    if (isFramed(response.response)) return refused('the passkey was used in a frame of another site')
    if (!checked.verified) return refused('the signature of the passkey is wrong')
    const { newCounter, userVerified, credentialBackedUp, credentialDeviceType } = checked.authenticationInfo
    if (credentialDeviceType !== found.device_type)
      return refused('the passkey says that it can be copied, and said otherwise before, or the reverse')
    const { authenticator_id, user_id } = found
    if (!(await useCredential(db, { authenticator_id, counter: newCounter, backed_up: credentialBackedUp }, now)))
      return refused('the counter of the passkey did not go up: it may have been copied')
    const amr = [keyMethod(credentialDeviceType), ...(userVerified ? ['user'] : [])]
    return { kind: 'proven', type: 'webauthn', user_id, authenticator_id, amr, userVerified }
  },
}

/**
 * Asks for a passkey of whoever it may be. `challenge`: at least 128 bits that were never given out before (WebAuthn section 13.4.3). Put
 * together here, since every sign-in page has it, and the library is large.
 */
export const anyPasskey = ({ rpId }: Site, challenge: string): PublicKeyCredentialRequestOptionsJSON => ({
  challenge,
  rpId,
  timeout: patienceMs,
  userVerification: 'required',
  allowCredentials: [],
})

const keyMethod = (device_type: CredentialRecord['device_type']) => (device_type === 'singleDevice' ? 'hwk' : 'swk')

/** What the person's first passkey of this host proves at least: whether it verifies them shows only when it is used. Undefined: they have none. */
export const findPasskeyMethod = async ({ db, site }: FactorDeps, user_id: string): Promise<string | undefined> => {
  const [first] = await listCredentialIds(db, { user_id, rp_id: site.rpId })
  return first && keyMethod(first.device_type)
}

const checkRegistration = async (
  { site, passkeys = {} }: FactorDeps,
  { kept, credential }: { kept: string; credential?: unknown },
  now: Date,
): Promise<CredentialRecord | Refused> => {
  const response = parse(attestationShape, credential)
  if (!response || !isChallenge(kept)) return refused('the response is not one of a new passkey')
  const { verifyRegistrationResponse } = await loadWebauthn()
  const checked = await attempt(() =>
    verifyRegistrationResponse({
      response: response as RegistrationResponseJSON,
      expectedChallenge: kept,
      expectedOrigin: site.origin,
      expectedRPID: site.rpId,
      requireUserVerification: passkeys.userVerification === 'required',
      supportedAlgorithmIDs: algorithms,
    }),
  )
  if ('kind' in checked) return checked
  if (isFramed(response.response)) return refused('the passkey was made in a frame of another site')
  if (!checked.verified) return refused('the attestation of the passkey is wrong')
  const { fmt, aaguid, credential: made, credentialDeviceType, credentialBackedUp } = checked.registrationInfo
  const { attestation } = passkeys
  if (attestation?.conveyance === 'direct') {
    if (attestation.aaguids.length && !attestation.aaguids.some((allowed) => allowed.toLowerCase() === aaguid))
      return refused(`an authenticator of model ${aaguid} is not let in`)
    const { attestationObject } = checked.registrationInfo
    const chain = await readChain(attestationObject)
    const fault = await attempt(async () => ({ found: findChainFault(chain, attestation.roots, now) }))
    if ('kind' in fault) return fault
    if (fault.found) return refused(fault.found)
  }
  return {
    rp_id: site.rpId,
    credential_id: Buffer.from(made.id, 'base64url'),
    public_key: Buffer.from(made.publicKey),
    counter: made.counter,
    transports: response.response.transports ?? [],
    aaguid,
    device_type: credentialDeviceType,
    backed_up: credentialBackedUp,
    attestation_format: fmt,
  }
}

const readChain = async (attestationObject: Uint8Array): Promise<Uint8Array[]> => {
  const { decodeAttestationObject } = await import('@simplewebauthn/server/helpers')
  return decodeAttestationObject(new Uint8Array(attestationObject)).get('attStmt').get('x5c') ?? []
}

/** Loaded when the first person needs it (30 MB). Without roots of its own it does not fetch what a certificate names; roots are `findChainFault`'s. */
const loadWebauthn = async () => {
  const library = await import('@simplewebauthn/server')
  for (const identifier of ['apple', 'android-key', 'android-safetynet'] as const)
    library.SettingsService.setRootCertificates({ identifier, certificates: [] })
  return library
}

/** The library throws for whatever is wrong with what a browser sent. */
const attempt = async <Result extends object>(work: () => Promise<Result>): Promise<Result | Refused> => {
  try {
    return await work()
  } catch (error) {
    return refused(String(error instanceof Error ? error.message : error).slice(0, 300))
  }
}

const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[A-Za-z0-9_-]+$/)
/** At most 1023 bytes (WebAuthn section 4, Credential ID). */
const credentialId = text(1364)
const envelope = { id: credentialId, rawId: credentialId, type: z.literal('public-key') }

const attestationShape = z.object({
  ...envelope,
  response: z.object({
    clientDataJSON: text(8_192),
    attestationObject: text(65_536),
    transports: z
      .array(z.string().regex(/^[a-z-]{1,32}$/))
      .max(10)
      .optional(),
  }),
  clientExtensionResults: z.unknown().transform(() => ({})),
})

const assertionShape = z.object({
  ...envelope,
  response: z.object({
    clientDataJSON: text(8_192),
    authenticatorData: text(8_192),
    signature: text(8_192),
    // Some browsers say null, and some send an empty one, where there is none.
    userHandle: z
      .string()
      .max(128)
      .nullish()
      .transform((handle) => handle || undefined),
  }),
  clientExtensionResults: z.unknown().transform(() => ({})),
})

const parse = <Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> | undefined => schema.safeParse(value).data

/** Pages of ours stand in nobody's frame. Asked of what the library has read, so it is JSON. */
const isFramed = ({ clientDataJSON }: { clientDataJSON: string }): boolean => {
  const { crossOrigin, topOrigin } = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString()) as Record<string, unknown>
  return crossOrigin === true || topOrigin !== undefined
}

/** 128 bits at least (WebAuthn section 13.4.3): what is shorter was never given out. */
const isChallenge = (kept: string): boolean => kept.length >= 22

const userHandleOf = (user_id: string) => Buffer.from(user_id.replaceAll('-', ''), 'hex')

const describe = ({ credential_id, transports }: { credential_id: Buffer; transports: string[] }) => ({
  id: credential_id.toString('base64url'),
  transports,
})

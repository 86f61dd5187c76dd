/** An authenticator of one credential with the browser around it: real keys, real signatures, and every mistake that can be made. */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { type Cbor, encodeCbor } from './cbor.ts'

export interface PasskeyOptions {
  alg?: 'ES256' | 'EdDSA'
  origin: string
  rpId: string
  /** May be copied to other devices. */
  synced?: boolean
  aaguid?: string
  /** Certificates, leaf first, and the key of the leaf (PKCS#8): it attests what it is. */
  attestation?: { chain: Uint8Array[]; key: Uint8Array }
}

/** What goes otherwise than it should. */
export interface Twist {
  origin?: string
  rpId?: string
  challenge?: string
  type?: string
  crossOrigin?: boolean
  /** Default: true. */
  userVerified?: boolean
  userPresent?: boolean
  synced?: boolean
  counter?: number
  userHandle?: string | null
  damaged?: boolean
}

interface Creation {
  challenge: string
  user: { id: string }
}

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest()
const base64url = (data: string | Uint8Array) => Buffer.from(data).toString('base64url')

export const makePasskey = (made: PasskeyOptions) => {
  const { alg = 'ES256' } = made
  const { publicKey, privateKey } = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  const id = randomBytes(32)
  let counter = made.synced ? 0 : 1
  let userHandle = ''

  const signWith = (key: KeyObject, data: Buffer) => sign(key.asymmetricKeyType === 'ec' ? 'sha256' : null, data, key)

  const clientData = (type: string, challenge: string, twist: Twist): Buffer =>
    Buffer.from(
      JSON.stringify({
        type: twist.type ?? type,
        challenge: twist.challenge ?? challenge,
        origin: twist.origin ?? made.origin,
        crossOrigin: twist.crossOrigin ?? false,
      }),
    )

  const authenticatorData = (twist: Twist, attested: Buffer[] = []): Buffer => {
    const { userVerified = true, userPresent = true, synced = made.synced ?? false } = twist
    const flags = (userPresent ? 0x01 : 0) | (userVerified ? 0x04 : 0) | (synced ? 0x18 : 0) | (attested.length ? 0x40 : 0)
    const rest = Buffer.alloc(5)
    rest[0] = flags
    rest.writeUInt32BE(twist.counter ?? (made.synced ? 0 : counter++), 1)
    return Buffer.concat([sha256(twist.rpId ?? made.rpId), rest, ...attested])
  }

  /** COSE_Key (RFC 9053). */
  const publicKeyCbor = (): Buffer => {
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const parts: [number, Cbor][] =
      alg === 'ES256'
        ? [
            [1, 2],
            [3, -7],
            [-1, 1],
            [-2, Buffer.from(x, 'base64url')],
            [-3, Buffer.from(y, 'base64url')],
          ]
        : [
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, Buffer.from(x, 'base64url')],
          ]
    return encodeCbor(new Map(parts))
  }

  return {
    id: base64url(id),

    /** navigator.credentials.create() */
    create: (options: object, twist: Twist = {}) => {
      const { challenge, user } = options as Creation
      userHandle = user.id
      const clientDataJSON = clientData('webauthn.create', challenge, twist)
      const aaguid = Buffer.from((made.aaguid ?? '00000000-0000-0000-0000-000000000000').replaceAll('-', ''), 'hex')
      const authData = authenticatorData(twist, [aaguid, Buffer.from([0, id.length]), id, publicKeyCbor()])
      const statement = new Map<string, Cbor>()
      if (made.attestation) {
        const key = createPrivateKey({ key: Buffer.from(made.attestation.key), format: 'der', type: 'pkcs8' })
        statement.set('alg', -7)
        statement.set('sig', signWith(key, Buffer.concat([authData, sha256(clientDataJSON)])))
        statement.set('x5c', made.attestation.chain)
      }
      const attestationObject = encodeCbor(
        new Map<string, Cbor>([
          ['fmt', made.attestation ? 'packed' : 'none'],
          ['attStmt', statement],
          ['authData', authData],
        ]),
      )
      return {
        id: base64url(id),
        rawId: base64url(id),
        type: 'public-key',
        authenticatorAttachment: 'platform',
        clientExtensionResults: { credProps: { rk: true } },
        response: {
          clientDataJSON: base64url(clientDataJSON),
          attestationObject: base64url(attestationObject),
          transports: ['internal', 'hybrid'],
        },
      }
    },

    /** navigator.credentials.get() */
    get: (options: object, twist: Twist = {}) => {
      const { challenge } = options as { challenge: string }
      const clientDataJSON = clientData('webauthn.get', challenge, twist)
      const authData = authenticatorData(twist)
      const signature = signWith(privateKey, Buffer.concat([authData, sha256(clientDataJSON)]))
      if (twist.damaged) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1
      return {
        id: base64url(id),
        rawId: base64url(id),
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: base64url(clientDataJSON),
          authenticatorData: base64url(authData),
          signature: base64url(signature),
          userHandle: twist.userHandle === undefined ? userHandle : twist.userHandle,
        },
      }
    },
  }
}

export type Passkey = ReturnType<typeof makePasskey>

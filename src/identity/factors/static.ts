/**
 * Recovery codes: ten, each good once. 60 bits in Crockford's alphabet, whose look-alikes are read as what they look like. Stored as HMAC
 * under a key of the root secret, so that who reads the database alone has nothing to search for.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { deriveKey, openVault } from '#/lib/crypto.ts'
import type { Secret } from '#/lib/secret.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { useSingleAuthenticator } from '#/model/authenticators.ts'
import { consumeRecoveryCode, insertRecoveryCodes } from '#/model/recovery_codes.ts'
import { addFactor } from '../authenticators.ts'
import { type Factor, nobody, refused } from '../factor.ts'

const codeCount = 10
const codeLength = 12
const groupLength = 4
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

const openCodeVault = (root: Secret) => openVault(root, 'recovery codes offered')

export const static_codes: Factor = {
  offer: async ({ rootSecret }, user, now) => {
    const id = uuidv7(now)
    const codes = Array.from({ length: codeCount }, makeCode)
    const sealed = openCodeVault(rootSecret).seal(codes.join(' '), `offer:${user.id}:${id}`)
    return { kept: `${id}.${sealed.toString('base64url')}`, codes }
  },

  /** The person says that they have written them down; until then the old ones hold. */
  confirm: async ({ db, rootSecret }, user, { kept, name }, change, now) => {
    const [id = '', sealed = ''] = kept.split('.')
    const codes = openCodeVault(rootSecret).open(Buffer.from(sealed, 'base64url'), `offer:${user.id}:${id}`).toString().split(' ')
    const hash = openHash(rootSecret, user.id)
    const authenticator = await db.transaction(async (tx) => {
      const added = await addFactor(tx, { authenticator_id: id, user_id: user.id, type: 'static', name }, change, now)
      await insertRecoveryCodes(tx, id, codes.map(hash))
      return added
    })
    return { kind: 'added', authenticator }
  },

  ask: async () => ({ kept: '' }),

  verify: async ({ db, rootSecret }, user, { code = '' }, now) => {
    const user_id = user?.id ?? nobody
    const code_hash = openHash(rootSecret, user_id)(code)
    return db.transaction(async (tx) => {
      const consumed = await consumeRecoveryCode(tx, { user_id, code_hash }, now)
      if (!consumed) return refused('the recovery code is wrong or was used before')
      await useSingleAuthenticator(tx, { user_id, type: 'static' }, now)
      return { kind: 'proven', type: 'static', user_id, authenticator_id: consumed.authenticator_id, amr: ['otp'], userVerified: false }
    })
  },
}

/** 32 letters divide 256, so no letter is likelier than another. */
const makeCode = (): string => {
  const letters = Array.from(randomBytes(codeLength), (byte) => alphabet[byte % alphabet.length]).join('')
  return letters.replace(new RegExp(`(.{${groupLength}})(?!$)`, 'g'), '$1-')
}

/** Upper case, without blanks and dashes, look-alikes as what they look like. */
const readCode = (typed: string): string =>
  typed
    .slice(0, 100)
    .toUpperCase()
    .replace(/[^0-9A-Z]/g, '')
    .replaceAll('O', '0')
    .replace(/[IL]/g, '1')

const openHash = (root: Secret, user_id: string) => {
  const key = deriveKey(root, 'recovery codes')
  return (code: string): Buffer =>
    createHmac('sha256', key)
      .update(`${user_id}:${readCode(code)}`)
      .digest()
}

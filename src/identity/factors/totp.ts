/**
 * Codes of an authenticator app (RFC 6238). SHA-1, six digits and 30 seconds, because apps that ignore other values of the otpauth address
 * are many. One step before and one after are accepted (section 5.2), each step once.
 */
import { randomBytes } from 'node:crypto'
import { openVault } from '#/lib/crypto.ts'
import type { Secret } from '#/lib/secret.ts'
import { isUuid, uuidv7 } from '#/lib/uuid.ts'
import { listTotpSecrets, useTotpStep } from '#/model/authenticators.ts'
import { addFactor } from '../authenticators.ts'
import { type Factor, nobody, refused } from '../factor.ts'

/** 160 bits (RFC 4226 section 4). */
const secretBytes = 20
const stepSeconds = 30
/** Of one that nobody has. */
const idle = randomBytes(secretBytes)

// Loaded when the first person needs it: a server at rest does without.
const loadOtp = () => import('otplib')
const loadQr = () => import('uqr')

const openTotpVault = (root: Secret) => openVault(root, 'totp secrets')
const contextOf = (authenticator_id: string) => `authenticator:${authenticator_id}`

export const totp: Factor = {
  offer: async ({ rootSecret, site }, user, now) => {
    const { generateURI, ScureBase32Plugin } = await loadOtp()
    const secret = randomBytes(secretBytes)
    const id = uuidv7(now)
    const encoded = new ScureBase32Plugin().encode(secret, { padding: false })
    const otpauthUrl = generateURI({ issuer: labelPart(site.name), label: labelPart(user.username), secret: encoded })
    // Sealed for this person and this authenticator: confirmed twice, it is the same one.
    const sealed = openTotpVault(rootSecret).seal(secret, `offer:${user.id}:${id}`)
    return { kept: `${id}.${sealed.toString('base64url')}`, otpauthUrl, qr: await draw(otpauthUrl) }
  },

  confirm: async ({ db, rootSecret }, user, { kept, code, name }, change, now) => {
    const [id = '', sealed = ''] = kept.split('.')
    const vault = openTotpVault(rootSecret)
    const secret = vault.open(Buffer.from(sealed, 'base64url'), `offer:${user.id}:${id}`)
    const step = isUuid(id) ? await findStep(secret, code, now) : undefined
    if (step === undefined) return refused('the code is not one of the offered secret')
    const row = { authenticator_id: id, user_id: user.id, type: 'totp', name } as const
    const kinds = { totp: { sealed_secret: vault.seal(secret, contextOf(id)), last_step: step } }
    return { kind: 'added', authenticator: await addFactor(db, { ...row, ...kinds }, change, now) }
  },

  ask: async () => ({ kept: '' }),

  verify: async ({ db, rootSecret }, user, { code }, now) => {
    const user_id = user?.id ?? nobody
    const vault = openTotpVault(rootSecret)
    const rows = await listTotpSecrets(db, user_id)
    // Without an app a secret of nobody's is tried, so that the time does not tell who has one.
    if (rows.length === 0) await findStep(idle, code, now)
    for (const { authenticator_id, sealed_secret } of rows) {
      const step = await findStep(vault.open(sealed_secret, contextOf(authenticator_id)), code, now)
      if (step === undefined) continue
      if (!(await useTotpStep(db, { authenticator_id, step }, now))) return refused('the code was used before')
      return { kind: 'proven', type: 'totp', user_id, authenticator_id, amr: ['otp'], userVerified: false }
    }
    return refused('the code is wrong, or there is no authenticator app')
  },
}

/** The time step that this is the code of; undefined when it is none of those accepted now. */
const findStep = async (secret: Uint8Array, code: string | undefined, now: Date): Promise<number | undefined> => {
  const { verifySync } = await loadOtp()
  const token = code?.length && code.length <= 20 ? code.replace(/[\s-]/g, '') : ''
  if (!/^[0-9]{6}$/.test(token)) return undefined
  const result = verifySync({ secret, token, epoch: Math.floor(now.getTime() / 1_000), epochTolerance: stepSeconds, period: stepSeconds })
  return result.valid && 'timeStep' in result ? result.timeStep : undefined
}

/** A colon parts issuer and account in the label, and apps show little of what is long. */
const labelPart = (text: string): string => [...text.replaceAll(':', ' ')].slice(0, 48).join('').trim() || '-'

/** Dark modules of a row that touch are one line: a third of what the library's own picture takes. */
const draw = async (text: string): Promise<string> => {
  const { encode } = await loadQr()
  const { size, data } = encode(text, { ecc: 'M', border: 4 })
  const lines = data.flatMap((row, y) =>
    [
      ...row
        .map((dark) => (dark ? '#' : ' '))
        .join('')
        .matchAll(/#+/g),
    ].map(({ index, 0: run }) => `M${index} ${y}h${run.length}`),
  )
  const dark = `<path stroke="#000" transform="translate(0 .5)" d="${lines.join('')}"/>`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}"><path fill="#fff" d="M0 0h${size}v${size}H0z"/>${dark}</svg>`
}

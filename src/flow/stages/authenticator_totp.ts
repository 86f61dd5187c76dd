import { setUpStage } from '../set_up.ts'

/** Shows a new secret as address and picture, and keeps it once a code of it was entered. */
export const authenticator_totp = setUpStage({
  type: 'totp',
  fields: [{ name: 'code', type: 'text', required: true, autocomplete: 'one-time-code' }],
  standardName: 'Authenticator app',
  shown: ({ otpauthUrl, qr }) => ({ ...(otpauthUrl ? { otpauthUrl } : {}), ...(qr ? { qr } : {}) }),
  mistake: 'mistake.code',
})

import { setUpStage } from '../set_up.ts'

/** Sends a code to the person's confirmed address, and has them type it. */
export const authenticator_email = setUpStage({
  type: 'email',
  fields: [{ name: 'code', type: 'text', required: true, autocomplete: 'one-time-code' }],
  standardName: 'E-mail',
  shown: ({ sentTo }) => (sentTo ? { sentTo, methods: ['email'] } : {}),
  mistake: 'mistake.code',
})

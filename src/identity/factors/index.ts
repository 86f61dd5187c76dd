import type { Factor } from '../factor.ts'
import { email } from './email.ts'
import { static_codes } from './static.ts'
import { totp } from './totp.ts'
import { webauthn } from './webauthn.ts'

/** Every second factor there is: a file is named for the type. */
export const factors = { totp, static: static_codes, webauthn, email } satisfies Record<string, Factor>

/** Every stage we offer: file name, export and manifest name are spelled the same. */
import type { Stage } from '../stage.ts'
import { consent } from './consent.ts'
import { identification } from './identification.ts'
import { password } from './password.ts'
import { user_login } from './user_login.ts'
import { user_logout } from './user_logout.ts'

export const stages = { identification, password, user_login, consent, user_logout } satisfies Record<string, Stage>

export type StageName = keyof typeof stages

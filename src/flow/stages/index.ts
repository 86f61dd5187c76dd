/** Every stage we offer: file name, export and manifest name are spelled the same. Its settings stand in src/kinds/flow_stages.ts. */
import type { StageName } from '#/kinds/flow_stages.ts'
import type { Stage } from '../stage.ts'
import { authenticator_email } from './authenticator_email.ts'
import { authenticator_static } from './authenticator_static.ts'
import { authenticator_totp } from './authenticator_totp.ts'
import { authenticator_validate } from './authenticator_validate.ts'
import { authenticator_webauthn } from './authenticator_webauthn.ts'
import { captcha } from './captcha.ts'
import { consent } from './consent.ts'
import { deny } from './deny.ts'
import { email } from './email.ts'
import { identification } from './identification.ts'
import { invitation } from './invitation.ts'
import { password } from './password.ts'
import { password_change } from './password_change.ts'
import { prompt } from './prompt.ts'
import { redirect } from './redirect.ts'
import { source } from './source.ts'
import { terms } from './terms.ts'
import { user_delete } from './user_delete.ts'
import { user_login } from './user_login.ts'
import { user_logout } from './user_logout.ts'
import { user_write } from './user_write.ts'

export type { StageName } from '#/kinds/flow_stages.ts'

export const stages: Record<StageName, Stage> = {
  identification,
  password,
  authenticator_validate,
  authenticator_webauthn,
  authenticator_totp,
  authenticator_email,
  authenticator_static,
  consent,
  prompt,
  user_write,
  user_login,
  user_logout,
  user_delete,
  email,
  invitation,
  captcha,
  terms,
  password_change,
  deny,
  redirect,
  source,
}

/** What `npm run bench` measures, in this order. */
import { authorization_code } from './authorization_code.ts'
import { client_credentials } from './client_credentials.ts'
import { forward_auth } from './forward_auth.ts'
import { forward_auth_memory } from './forward_auth_memory.ts'
import { introspection } from './introspection.ts'
import { memory } from './memory.ts'
import { password_sign_in } from './password_sign_in.ts'
import { proxied } from './proxied.ts'
import { refresh_token } from './refresh_token.ts'
import { sign_in_page } from './sign_in_page.ts'
import { start } from './start.ts'
import { userinfo } from './userinfo.ts'
import { users } from './users.ts'

export const scenarios = {
  client_credentials,
  authorization_code,
  refresh_token,
  introspection,
  userinfo,
  forward_auth,
  proxied,
  password_sign_in,
  start,
  memory,
  forward_auth_memory,
  sign_in_page,
  users,
}

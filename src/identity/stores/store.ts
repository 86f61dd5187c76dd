/** Where people live. What signs them in asks one of these and never which one it is; `UserStore.spec.type` names the file that answers. */
import type { User } from '../user.ts'

export interface Store {
  /** Whom a person means by what they type: username or e-mail address. Undefined when nobody; whether they are active is the caller's to look at. */
  find(login: string): Promise<User | undefined>
  get(user_id: string): Promise<User | undefined>
  /** Whose password this is. Undefined for everyone who may not sign in with it, after the same time. Throws Problem `unavailable` when the store can't answer now. */
  authenticate(login: string, plain: string): Promise<User | undefined>
  /** Names of every group a user is in, by itself or through others, sorted. */
  groups(user: User): Promise<string[]>
}

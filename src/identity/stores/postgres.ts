import { effectiveGroups } from '../groups.ts'
import { checkPassword, type PasswordDeps } from '../passwords.ts'
import { findUser, findUserByLogin } from '../users.ts'
import type { Store } from './store.ts'

/** The users and groups of this installation. */
export const openPostgresStore = ({ db, passwords }: PasswordDeps): Store => ({
  find: (login) => findUserByLogin(db, login),
  get: (user_id) => findUser(db, user_id),
  authenticate: (login, plain) => checkPassword({ db, passwords }, login, plain),
  groups: ({ id }) => effectiveGroups(db, id),
})

import { defaultPasswordRules, type PasswordRules } from '#/kinds/user_store.ts'
import type { Snapshot } from './snapshot.ts'

/** What may become a password of a person who uses this AuthServer: as the UserStore says in which its people live. */
export const passwordRulesOf = (snapshot: Snapshot, { namespace, name }: { namespace: string; name: string }): PasswordRules =>
  snapshot.findAuthServer(namespace, name)?.userStore?.spec.passwordRules ?? defaultPasswordRules

/** A person's own factors: seen by anyone who holds the session, removed by who has signed in lately. */
import type { AccountFactors } from '#/flow/portal_pages.ts'
import { listFactors, removeFactor } from '#/identity/authenticators.ts'
import type { MailDeps } from '#/identity/mail.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { type Person, toldChangeOf } from './person.ts'

export const listShownFactors = async ({ db }: { db: Db }, { session }: Person): Promise<Pick<AccountFactors, 'factors'>> => ({
  factors: await listFactors(db, session.user.id),
})

export const withdrawFactor = async (
  deps: MailDeps & { db: Db },
  person: Person,
  { factor = '' }: Readonly<Record<string, string>>,
  now: Date,
): Promise<'factor_removed'> => {
  const { id, username } = person.session.user
  if (!(await removeFactor(deps.db, { user_id: id, username, id: factor }, toldChangeOf(person, deps), now)))
    throw new Problem('not_found', { detail: 'there is no such factor any more' })
  return 'factor_removed'
}

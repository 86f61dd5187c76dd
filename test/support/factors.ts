/** Second factors on a real database: people to have them, and what happened to them. */
import { randomUUID } from 'node:crypto'
import { type Factor, type FactorDeps, siteOf } from '#/identity/factor.ts'
import type { User } from '#/identity/user.ts'
import { createUser } from '#/identity/users.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { freshDatabase } from './database.ts'

export const by = { actor: 'tester', network: '192.0.2.7' }

export const openFactors = async () => {
  const fresh = await freshDatabase()
  const { db } = fresh
  const deps: FactorDeps = {
    db,
    rootSecret: new Secret('a root secret of tests, 32 bytes at least'),
    site: siteOf({ issuerUrl: 'https://id.example.org/people', displayName: 'Example & Sons' }),
  }
  return {
    ...fresh,
    deps,
    person: (more: object = {}): Promise<User> => {
      const username = `person-${randomUUID()}`
      return createUser(db, { username, email: `${username}@example.org`, emailVerified: true, ...more }, by, new Date(0))
    },
    events: (user: User) =>
      db.any<{ action: string; data: object }>(sql`
        select action, data from events where target_name = ${user.username} and action like 'factor.%' order by time, ctid`),
    lastUsed: async (id: string) =>
      (await db.one<{ last_used_at: Date | null }>(sql`select last_used_at from authenticators where authenticator_id = ${id}`))
        .last_used_at,
  }
}

/** How many of twenty at once were let in. */
export const winnersOf20 = async (attempt: () => ReturnType<Factor['verify']>): Promise<number> => {
  const outcomes = await Promise.all(Array.from({ length: 20 }, attempt))
  return outcomes.filter(({ kind }) => kind === 'proven').length
}

import type { Person } from './person.ts'

/** `GET /api/v1/me`: the user as REST shows it, and how they signed in. */
export const renderMe = ({ session }: Person) => {
  const { metadata: _, ...user } = session.user
  return { ...user, session: { acr: session.acr, amr: session.amr, authTime: new Date(session.auth_time * 1_000).toISOString() } }
}

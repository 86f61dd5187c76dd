import { knownMigrations } from '#/lib/migrate.ts'
import { type Db, sql } from '#/lib/sql.ts'

export type Readiness = { ready: true } | { ready: false; reason: string }

/** How long an answer of the database is believed, so that a fleet of probes does not become load. */
const believedForMs = 1_000
const answerWithinMs = 2_000

/** Readiness: the database answers and every migration this program knows is applied. Never throws. */
export const openReadiness = (db: Db): (() => Promise<Readiness>) => {
  const known = knownMigrations()
  let asked: { at: number; answer: Promise<Readiness> } | undefined
  const ask = async (): Promise<Readiness> => {
    const timeout = AbortSignal.timeout(answerWithinMs)
    const tooLate = new Promise<never>((_, reject) => timeout.addEventListener('abort', () => reject(new Error('timeout'))))
    try {
      const applied = await Promise.race([db.any<{ name: string }>(sql`select name from migrations`), tooLate])
      const names = new Set(applied.map(({ name }) => name))
      const missing = known.filter((name) => !names.has(name))
      return missing.length ? { ready: false, reason: `migrations missing: ${missing.join(', ')}` } : { ready: true }
    } catch {
      return { ready: false, reason: 'the database does not answer' }
    }
  }
  return () => {
    const now = performance.now()
    if (!asked || now - asked.at > believedForMs) asked = { at: now, answer: ask() }
    return asked.answer
  }
}

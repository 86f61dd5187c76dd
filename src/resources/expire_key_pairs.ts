import type { Secret } from '#/lib/secret.ts'
import type { Database, Db } from '#/lib/sql.ts'
import { listResources, lockConfiguration, type ResourceRow } from '#/model/resources.ts'
import { settle } from './settle.ts'

const page = 500
const actor = 'expire_key_pairs'

/** What time alone changes: KeyPairs that have become valid or are over say so in their status, and an event tells it. Answers how many. */
export const expireKeyPairs = ({ db, rootSecret }: { db: Database; rootSecret: Secret }, now: Date): Promise<number> =>
  db.transaction(async (tx) => {
    const due = await findDue(tx, now)
    if (!due.length) return 0
    await lockConfiguration(tx)
    for (const { namespace, name } of due)
      await settle(tx, { rootSecret, change: { actor }, now, about: { kind: 'KeyPair', namespace, name } })
    return due.length
  })

const findDue = async (db: Db, now: Date): Promise<ResourceRow[]> => {
  const due: ResourceRow[] = []
  let after: [string, string] | undefined = ['', '']
  while (after) {
    const rows: ResourceRow[] = await listResources(db, { kind: 'KeyPair', namespace: null, labels: {}, after, limit: page })
    due.push(...rows.filter((row) => isDue(row, now)))
    const last = rows.at(-1)
    after = last && rows.length === page ? [last.namespace, last.name] : undefined
  }
  return due
}

const isDue = ({ status }: ResourceRow, now: Date): boolean => {
  const {
    conditions = [],
    notBefore,
    notAfter,
  } = status as {
    conditions?: { type: string; reason: string }[]
    notBefore?: string
    notAfter?: string
  }
  const reason = conditions.find(({ type }) => type === 'Ready')?.reason
  const has = (moment: string | undefined) => moment !== undefined && Date.parse(moment) <= now.getTime()
  return (reason === 'Valid' && has(notAfter)) || (reason === 'NotYetValid' && has(notBefore))
}

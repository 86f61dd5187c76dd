import { largestPage } from '#/identity/page.ts'
import { type KindName, kinds } from '#/kinds/index.ts'
import type { Kind } from '#/kinds/kind.ts'
import type { Db } from '#/lib/sql.ts'
import { type LabelSelector, selects } from './label_selector.ts'
import { keyOf } from './resource.ts'
import { storeOf } from './stores/index.ts'

/** Everything a selector selects but what is kept; what refers to others comes before them. */
export const findPrunable = async (db: Db, selector: LabelSelector, kept: ReadonlySet<string>) => {
  const found: { kind: Kind<KindName>; namespace: string; name: string }[] = []
  for (const kind of Object.values(kinds).toReversed() as Kind<KindName>[]) {
    let cursor: string | undefined
    do {
      const { items, next } = await storeOf(kind).list(db, kind, { labels: selector.matchLabels ?? {}, cursor, limit: largestPage })
      for (const { resource } of items) {
        const { namespace, name, labels } = resource.metadata
        if (!kept.has(keyOf(kind.kind, namespace, name)) && selects(selector, labels)) found.push({ kind, namespace, name })
      }
      cursor = next ?? undefined
    } while (cursor !== undefined)
  }
  return found
}

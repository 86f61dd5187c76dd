/** In which order documents are applied: what is referred to comes before what refers to it. Pure. */
import { kindNames } from '#/kinds/index.ts'
import type { Desired } from './check.ts'
import { keyOf } from './resource.ts'

/** People and groups are referred to by their own names, all else by the name of the resource. */
const keysOf = ({ kind, namespace, name, parsed }: Desired): string[] => {
  const own = kind.kind === 'User' ? parsed.username : kind.kind === 'Group' ? parsed.name : undefined
  return [keyOf(kind.kind, namespace, name), ...(typeof own === 'string' ? [keyOf(kind.kind, namespace, own)] : [])]
}

const refersTo = ({ kind, namespace, parsed }: Desired, other: Desired): boolean => {
  const keys = keysOf(other)
  return kind.references(parsed, namespace).some((reference) => keys.includes(keyOf(reference.kind, reference.namespace, reference.name)))
}

const rank = new Map<string, number>(kindNames.map((kind, index) => [kind, index]))

/** A circle is cut where it is met; kinds stand in the order of the table, and documents of a kind as they were given, unless a reference says otherwise. */
export const orderByReference = <Item extends { desired: Desired }>(items: readonly Item[]): Item[] => {
  const byKey = new Map(items.flatMap((item) => keysOf(item.desired).map((key) => [key, item] as const)))
  const ordered: Item[] = []
  const met = new Set<Item>()
  const place = (item: Item) => {
    if (met.has(item)) return
    met.add(item)
    const { kind, parsed, namespace } = item.desired
    for (const reference of kind.references(parsed, namespace)) {
      const named = byKey.get(keyOf(reference.kind, reference.namespace, reference.name))
      // A member who names the group as well joins it with their own document, after it.
      const joins = kind.kind === 'Group' && reference.kind === 'User' && named && refersTo(named.desired, item.desired)
      if (named && !joins) place(named)
    }
    ordered.push(item)
  }
  const byRank = items.toSorted((a, b) => (rank.get(a.desired.kind.kind) ?? 0) - (rank.get(b.desired.kind.kind) ?? 0))
  for (const item of byRank) place(item)
  return ordered
}

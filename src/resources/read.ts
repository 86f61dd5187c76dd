/** Resources as they were written, with their status, from the database: what REST shows and export writes. */
import { largestPage, type Page, type PageRequest } from '#/identity/page.ts'
import { type KindName, kinds } from '#/kinds/index.ts'
import { apiVersion, type Kind, type Resource } from '#/kinds/kind.ts'
import type { Db } from '#/lib/sql.ts'
import { parseLabelSelector, selects } from './label_selector.ts'
import { storeOf } from './stores/index.ts'

export const findOne = async (
  db: Db,
  { kind, namespace, name }: { kind: Kind<KindName>; namespace: string; name: string },
): Promise<Resource | undefined> => (await storeOf(kind).find(db, kind, namespace, name))?.resource

export interface ListRequest extends PageRequest {
  /** Absent: of all namespaces. */
  namespace?: string | undefined
  /** `app=web,tier!=test` */
  labelSelector?: string | undefined
}

/** A page may hold fewer than `limit` although there is a next one, where a selector leaves some out. */
export const listPage = async (db: Db, kind: Kind<KindName>, { labelSelector, ...request }: ListRequest): Promise<Page<Resource>> => {
  const selector = labelSelector ? parseLabelSelector(labelSelector, '/labelSelector') : undefined
  const { items, next } = await storeOf(kind).list(db, kind, { ...request, labels: selector?.matchLabels })
  const resources = items.map(({ resource }) => resource)
  return { items: selector ? resources.filter(({ metadata }) => selects(selector, metadata.labels)) : resources, next }
}

export interface ExportRequest {
  kinds?: readonly Kind<KindName>[] | undefined
  namespace?: string | undefined
  labelSelector?: string | undefined
}

/** Manifests that make the same again when they are applied elsewhere; what is referred to comes first. */
export async function* exportManifests(db: Db, { kinds: wanted, ...request }: ExportRequest): AsyncGenerator<Record<string, unknown>> {
  for (const kind of Object.values(kinds) as Kind<KindName>[]) {
    if (wanted && !wanted.includes(kind)) continue
    let cursor: string | undefined
    do {
      const { items, next } = await listPage(db, kind, { ...request, cursor, limit: largestPage })
      for (const item of items) yield manifestOf(item)
      cursor = next ?? undefined
    } while (cursor !== undefined)
  }
}

/** Without what the server adds. */
export const manifestOf = ({ kind, metadata: { name, namespace, labels, annotations }, spec }: Resource): Record<string, unknown> => ({
  apiVersion,
  kind,
  metadata: {
    name,
    namespace,
    ...(Object.keys(labels).length ? { labels } : {}),
    ...(Object.keys(annotations).length ? { annotations } : {}),
  },
  spec,
})

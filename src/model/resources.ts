/** `resources`: configuration, a row each. Read whole into memory by every server, so statements on single rows serve REST and apply. */
import { type Db, sql } from '#/lib/sql.ts'

export interface ResourceRow {
  kind: string
  namespace: string
  name: string
  labels: Record<string, string>
  annotations: Record<string, string>
  /** As it was written. */
  spec: Record<string, unknown>
  /** What is in force; null: nothing ever was. */
  active_spec: Record<string, unknown> | null
  active_generation: string | null
  status: Record<string, unknown>
  generation: string
  resource_version: string
  /** Rises in the order of creation. */
  created_version: string
  created_at: Date
  updated_at: Date
}

/** Until the transaction ends no one else changes configuration. Answers the version of the last change. */
export const lockConfiguration = async (db: Db): Promise<string> =>
  (await db.one<{ generation: string }>(sql`select generation from configuration for update`)).generation

export const findGeneration = async (db: Db): Promise<string> =>
  (await db.one<{ generation: string }>(sql`select generation from configuration`)).generation

/** Whether anyone was first already. */
export const hasStarted = async (db: Db): Promise<boolean> =>
  (await db.maybeOne(sql`select from configuration where first_started_at is not null`)) !== undefined

/** True for the one caller who is first. */
export const claimFirstStart = async (db: Db, now: Date): Promise<boolean> =>
  (await db.run(sql`update configuration set first_started_at = ${now} where first_started_at is null`)) === 1

/** Keys of all resources: what is not among them was deleted. */
export const listResourceKeys = (db: Db) =>
  db.any<Pick<ResourceRow, 'kind' | 'namespace' | 'name'>>(sql`select kind, namespace, name from resources`)

export const listResourcesAfter = (db: Db, version: string) =>
  db.any<ResourceRow>(sql`
    select kind, namespace, name, labels, annotations, spec, active_spec, active_generation, status, generation, resource_version, created_version,
           created_at, updated_at
      from resources
     where resource_version > ${version}::bigint`)

/** What is in force, of all resources in the order of creation, and no more than it takes to put it into relation. */
export const listActiveSpecs = (db: Db) =>
  db.any<Pick<ResourceRow, 'kind' | 'namespace' | 'name' | 'labels'> & { active_spec: string | null }>(sql`
    select kind, namespace, name, labels, active_spec::text as active_spec
      from resources
     order by created_version`)

export interface Affected {
  /** Everything. */
  all: boolean
  /** All of these kinds. */
  kinds: readonly string[]
  /** This one; and of its kind those that are not Ready. */
  one: { kind: string; namespace: string; name: string }
}

export const listAffectedResources = (db: Db, { all, kinds, one }: Affected) =>
  db.any<ResourceRow>(sql`
    select kind, namespace, name, labels, annotations, spec, active_spec, active_generation, status, generation, resource_version, created_version,
           created_at, updated_at
      from resources
     where ${all}
        or kind = any(${kinds}::text[])
        or (kind = ${one.kind} and namespace = ${one.namespace} and name = ${one.name})
        or (kind = ${one.kind} and status -> 'conditions' @> '[{"type": "Ready", "status": "False"}]')`)

export const findResource = (db: Db, kind: string, namespace: string, name: string) =>
  db.maybeOne<ResourceRow>(sql`
    select kind, namespace, name, labels, annotations, spec, active_spec, active_generation, status, generation, resource_version, created_version,
           created_at, updated_at
      from resources
     where kind = ${kind} and namespace = ${namespace} and name = ${name}`)

/** A page in order of namespace and name; namespace null: of all namespaces. */
export const listResources = (
  db: Db,
  {
    kind,
    namespace,
    labels,
    after,
    limit,
  }: { kind: string; namespace: string | null; labels: Record<string, string>; after: [string, string]; limit: number },
) =>
  db.any<ResourceRow>(sql`
    select kind, namespace, name, labels, annotations, spec, active_spec, active_generation, status, generation, resource_version, created_version,
           created_at, updated_at
      from resources
     where kind = ${kind}
       and (${namespace}::text is null or namespace = ${namespace})
       and labels @> ${JSON.stringify(labels)}::jsonb
       and (namespace, name) > (${after[0]}, ${after[1]})
     order by namespace, name
     limit ${limit}`)

export interface ResourceToWrite {
  kind: string
  namespace: string
  name: string
  labels: Record<string, string>
  annotations: Record<string, string>
  spec: Record<string, unknown>
  paused: boolean
}

/** Creates or replaces. A changed spec is a new generation, and is in force at once unless it says paused. */
export const writeResource = (db: Db, resource: ResourceToWrite, now: Date) =>
  db.one<ResourceRow>(sql`
    insert into resources as r (kind, namespace, name, labels, annotations, spec, active_spec, active_generation, created_at, updated_at)
    values (${resource.kind}, ${resource.namespace}, ${resource.name}, ${JSON.stringify(resource.labels)}::jsonb,
            ${JSON.stringify(resource.annotations)}::jsonb, ${JSON.stringify(resource.spec)}::jsonb,
            case when ${resource.paused}::boolean then null else ${JSON.stringify(resource.spec)}::jsonb end,
            case when ${resource.paused}::boolean then null else 1 end, ${now}, ${now})
    on conflict (kind, namespace, name) do update
       set labels = excluded.labels,
           annotations = excluded.annotations,
           spec = excluded.spec,
           generation = r.generation + case when r.spec = excluded.spec then 0 else 1 end,
           active_spec = coalesce(excluded.active_spec, r.active_spec),
           active_generation = case when excluded.active_spec is null then r.active_generation
                                    else r.generation + case when r.spec = excluded.spec then 0 else 1 end end,
           resource_version = nextval('resource_version'),
           updated_at = excluded.updated_at
    returning kind, namespace, name, labels, annotations, spec, active_spec, active_generation, status, generation, resource_version, created_version,
              created_at, updated_at`)

export const writeStatus = (
  db: Db,
  { kind, namespace, name }: Pick<ResourceRow, 'kind' | 'namespace' | 'name'>,
  status: Record<string, unknown>,
) =>
  db.run(sql`
    update resources
       set status = ${JSON.stringify(status)}::jsonb,
           resource_version = nextval('resource_version')
     where kind = ${kind} and namespace = ${namespace} and name = ${name}`)

/** A new version without another change: every server looks at it anew. */
export const touchResource = (db: Db, kind: string, namespace: string, name: string) =>
  db.run(sql`
    update resources
       set resource_version = nextval('resource_version')
     where kind = ${kind} and namespace = ${namespace} and name = ${name}`)

export const deleteResource = (db: Db, kind: string, namespace: string, name: string) =>
  db.run(sql`delete from resources where kind = ${kind} and namespace = ${namespace} and name = ${name}`)

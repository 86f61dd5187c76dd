/**
 * `outpost_instances`: processes of outposts that run by themselves. Servers take turns in writing here, so when one was seen, and whether it is
 * still alive, is told by the one clock that they share, the database's.
 */
import { type Db, sql } from '#/lib/sql.ts'

export interface OutpostInstance {
  instance_id: string
  namespace: string
  name: string
  hostname: string
  version: string
  network: string
  stream_id: string
  generation: string | null
  connected_at: Date
  seen_at: Date
  left_at: Date | null
  is_alive: boolean
}

type Joining = Omit<OutpostInstance, 'generation' | 'connected_at' | 'seen_at' | 'left_at' | 'is_alive'>

/** Zero when so many others of this Outpost live already, or the name of the instance is that of another Outpost. */
export const joinOutpostInstance = (db: Db, one: Joining, { most, aliveMs }: { most: number; aliveMs: number }): Promise<number> =>
  db.transaction(async (tx) => {
    // Of two that come at once the second one must see the first.
    await tx.any(sql`select pg_advisory_xact_lock(hashtextextended(${`outpost_instances ${one.namespace}/${one.name}`}, 0))`)
    return await tx.run(sql`
      insert into outpost_instances as i (instance_id, namespace, name, hostname, version, network, stream_id, connected_at, seen_at)
      select ${one.instance_id}::uuid, ${one.namespace}, ${one.name}, ${one.hostname}, ${one.version}, ${one.network}, ${one.stream_id}::uuid,
             clock_timestamp(), clock_timestamp()
       where (select count(*)
                from outpost_instances
               where namespace = ${one.namespace}
                 and name = ${one.name}
                 and instance_id <> ${one.instance_id}::uuid
                 and left_at is null
                 and seen_at > clock_timestamp() - ${aliveMs}::integer * interval '1 millisecond') < ${most}
      on conflict (instance_id) do update
         set hostname = excluded.hostname,
             version = excluded.version,
             network = excluded.network,
             stream_id = excluded.stream_id,
             connected_at = excluded.connected_at,
             seen_at = excluded.seen_at,
             left_at = null
       where i.namespace = excluded.namespace
         and i.name = excluded.name`)
  })

/** Keeps the newest of an Outpost: a process that starts again and again is another one each time. */
export const trimOutpostInstances = (db: Db, { namespace, name }: { namespace: string; name: string }, most: number) =>
  db.run(sql`
    delete from outpost_instances
     where instance_id in (select instance_id
                             from outpost_instances
                            where namespace = ${namespace} and name = ${name}
                            order by seen_at desc
                           offset ${most})`)

/** Zero for one that has no stream. */
export const beatOutpostInstance = (
  db: Db,
  { instance_id, namespace, name, generation }: Pick<OutpostInstance, 'instance_id' | 'namespace' | 'name' | 'generation'>,
) =>
  db.run(sql`
    update outpost_instances
       set seen_at = now(), generation = ${generation}
     where instance_id = ${instance_id}
       and namespace = ${namespace}
       and name = ${name}
       and left_at is null`)

/** Whether it lives, and has no newer stream than this one. */
export const isOutpostStreamAlive = async (
  db: Db,
  { instance_id, stream_id }: Pick<OutpostInstance, 'instance_id' | 'stream_id'>,
  aliveMs: number,
): Promise<boolean> =>
  (await db.maybeOne(sql`
    select from outpost_instances
     where instance_id = ${instance_id}
       and stream_id = ${stream_id}
       and seen_at > now() - ${aliveMs}::integer * interval '1 millisecond'`)) !== undefined

export const leaveOutpostInstances = (db: Db, { instance_id, stream_id }: Pick<OutpostInstance, 'instance_id' | 'stream_id'>) =>
  db.run(sql`
    update outpost_instances set left_at = now() where instance_id = ${instance_id} and stream_id = ${stream_id} and left_at is null`)

/** Of these Outposts, by `namespace/name`; those last that were seen longest ago. */
export const listOutpostInstances = (db: Db, outposts: readonly string[], aliveMs: number) =>
  db.any<OutpostInstance>(sql`
    select instance_id, namespace, name, hostname, version, network, stream_id, generation, connected_at, seen_at, left_at,
           left_at is null and seen_at > now() - ${aliveMs}::integer * interval '1 millisecond' as is_alive
      from outpost_instances
     where namespace || '/' || name = any(${outposts}::text[])
     order by seen_at desc, instance_id`)

export const purgeOutpostInstances = (db: Db, until: Date, batch: number): Promise<number> =>
  db.run(sql`
    delete from outpost_instances
     where instance_id in (select instance_id from outpost_instances where seen_at <= ${until} limit ${batch} for update skip locked)`)

import { type Db, sql } from '#/lib/sql.ts'

export interface InteractionToStore {
  interaction_hash: Buffer
  sealed_payload: Buffer
  expires_at: Date
}

export const storeInteraction = (db: Db, interaction: InteractionToStore) =>
  db.run(sql`
    insert into oidc_interactions (interaction_hash, sealed_payload, expires_at)
    values (${interaction.interaction_hash}, ${interaction.sealed_payload}, ${interaction.expires_at})
    on conflict (interaction_hash) do update
       set sealed_payload = excluded.sealed_payload,
           expires_at = excluded.expires_at`)

export const findInteraction = (db: Db, interaction_hash: Buffer, now: Date) =>
  db.maybeOne<{ sealed_payload: Buffer }>(sql`
    select sealed_payload
      from oidc_interactions
     where interaction_hash = ${interaction_hash}
       and expires_at > ${now}`)

export const deleteInteraction = (db: Db, interaction_hash: Buffer) =>
  db.run(sql`
    delete from oidc_interactions
     where interaction_hash = ${interaction_hash}`)

export const purgeInteractions = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from oidc_interactions
     where interaction_hash in (
       select interaction_hash
         from oidc_interactions
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)

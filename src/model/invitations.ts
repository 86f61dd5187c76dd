import { type Db, sql } from '#/lib/sql.ts'

export interface Invitation {
  invitation_id: string
  issuer: string
  flow_name: string
  email: string | null
  name: string | null
  locale: string | null
  group_ids: string[]
  /** Names of those that are there. */
  groups: string[]
  created_by: string
  created_by_user_id: string | null
  /** As they are called now. */
  creator_username: string | null
  created_at: Date
  expires_at: Date
  consumed_at: Date | null
}

export type InvitationToInsert = Omit<Invitation, 'groups' | 'creator_username' | 'consumed_at'> & { token_hash: Buffer }

/** Where a token is shown: it is worth nothing elsewhere. */
export interface ShownToken {
  token_hash: Buffer
  issuer: string
  flow_name: string
}

export const insertInvitation = (db: Db, invitation: InvitationToInsert) =>
  db.run(sql`
    insert into invitations (invitation_id, token_hash, issuer, flow_name, email, name, locale, group_ids, created_by, created_by_user_id,
                             created_at, expires_at)
    values (${invitation.invitation_id}, ${invitation.token_hash}, ${invitation.issuer}, ${invitation.flow_name}, ${invitation.email},
            ${invitation.name}, ${invitation.locale}, ${invitation.group_ids}::uuid[], ${invitation.created_by},
            ${invitation.created_by_user_id}, ${invitation.created_at}, ${invitation.expires_at})`)

/** Looks without consuming. Undefined when unknown here, expired, consumed, or its maker is not active any more. */
export const peekInvitation = (db: Db, { token_hash, issuer, flow_name }: ShownToken, now: Date) =>
  db.maybeOne<Invitation>(sql`
    select invitation_id, issuer, flow_name, email, name, locale, group_ids, groups, created_by, created_by_user_id, creator_username,
           created_at, expires_at, consumed_at
      from invitations_shown
     where token_hash = ${token_hash}
       and issuer = ${issuer}
       and flow_name = ${flow_name}
       and consumed_at is null
       and expires_at > ${now}
       and creator_is_active`)

/** Undefined in the same cases. Consuming is one statement: two requests cannot both win. */
export const consumeInvitationRow = (db: Db, { token_hash, issuer, flow_name }: ShownToken, now: Date) =>
  db.maybeOne<Invitation>(sql`
    update invitations i
       set consumed_at = ${now}
      from invitations_shown s
     where i.token_hash = ${token_hash}
       and i.issuer = ${issuer}
       and i.flow_name = ${flow_name}
       and i.consumed_at is null
       and i.expires_at > ${now}
       and s.invitation_id = i.invitation_id
       and s.creator_is_active
    returning i.invitation_id, i.issuer, i.flow_name, i.email, i.name, i.locale, i.group_ids, s.groups, i.created_by, i.created_by_user_id,
              s.creator_username, i.created_at, i.expires_at, i.consumed_at`)

export const findInvitation = (db: Db, invitation_id: string) =>
  db.maybeOne<Invitation>(sql`
    select invitation_id, issuer, flow_name, email, name, locale, group_ids, groups, created_by, created_by_user_id, creator_username,
           created_at, expires_at, consumed_at
      from invitations_shown
     where invitation_id = ${invitation_id}`)

/** In the order of their making; `after` is the last one seen. */
export const listInvitations = (db: Db, { after, limit }: { after: string | null; limit: number }) =>
  db.any<Invitation>(sql`
    select invitation_id, issuer, flow_name, email, name, locale, group_ids, groups, created_by, created_by_user_id, creator_username,
           created_at, expires_at, consumed_at
      from invitations_shown
     where ${after}::uuid is null
        or invitation_id > ${after}::uuid
     order by invitation_id
     limit ${limit}`)

export const deleteInvitationRow = (db: Db, invitation_id: string) =>
  db.run(sql`delete from invitations where invitation_id = ${invitation_id}`)

/** Removes a batch of those whose time is over, consumed or not, and answers how many. */
export const purgeInvitations = (db: Db, now: Date, batch: number): Promise<number> =>
  db.run(sql`
    delete from invitations
     where invitation_id in (select invitation_id from invitations where expires_at <= ${now} limit ${batch} for update skip locked)`)

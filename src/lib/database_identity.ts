import { type Db, sql } from './sql.ts'

const insufficientPrivilege = '42501'

/** Of a database, and of no copy of it that was put into another cluster or under another name. Where the cluster's number is kept from us, the name has to do. */
export const findDatabaseIdentity = async (db: Db): Promise<string> => {
  const { name } = await db.one<{ name: string }>(sql`select current_database() as name`)
  const cluster = await db
    .one<{ id: string }>(sql`select system_identifier::text as id from pg_control_system()`)
    .catch((error: { code?: string }) => {
      if (error.code !== insufficientPrivilege) throw error
      return { id: '' }
    })
  return `${cluster.id}/${name}`
}

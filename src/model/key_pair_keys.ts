/** `key_pair_keys`: private keys of KeyPairs, encrypted. */
import { type Db, sql } from '#/lib/sql.ts'

export interface KeyPairKey {
  namespace: string
  name: string
  public_key_sha256: Buffer
  sealed_key: Buffer
  created_at: Date
}

/** Undefined: there is none that belongs to this public key. */
export const findKeyPairKey = (
  db: Db,
  { namespace, name, public_key_sha256 }: Pick<KeyPairKey, 'namespace' | 'name' | 'public_key_sha256'>,
) =>
  db.maybeOne<Pick<KeyPairKey, 'sealed_key'>>(sql`
    select sealed_key
      from key_pair_keys
     where kind = 'KeyPair' and namespace = ${namespace} and name = ${name} and public_key_sha256 = ${public_key_sha256}`)

/** One that is there already stays. */
export const insertKeyPairKey = (db: Db, key: KeyPairKey) =>
  db.run(sql`
    insert into key_pair_keys (namespace, name, public_key_sha256, sealed_key, created_at)
    values (${key.namespace}, ${key.name}, ${key.public_key_sha256}, ${key.sealed_key}, ${key.created_at})
    on conflict do nothing`)

export const deleteOtherKeyPairKeys = (db: Db, { namespace, name, kept }: { namespace: string; name: string; kept: readonly Buffer[] }) =>
  db.run(sql`
    delete from key_pair_keys
     where kind = 'KeyPair' and namespace = ${namespace} and name = ${name} and not public_key_sha256 = any(${kept}::bytea[])`)

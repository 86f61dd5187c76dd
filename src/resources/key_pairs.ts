/**
 * Private keys of KeyPairs. A key never becomes part of a resource, which is shown, exported and told of in events: it is taken out before the
 * resource is written and kept sealed beside it, to be found by the public key that its certificate has.
 */
import type { KeyPairSpec } from '#/kinds/key_pair.ts'
import { fingerprintOf, pairProblem, parseChain, parsePrivateKey } from '#/lib/certificate.ts'
import { openVault, type Vault } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { deleteOtherKeyPairKeys, findKeyPairKey, insertKeyPairKey } from '#/model/key_pair_keys.ts'
import type { ResourceRow } from '#/model/resources.ts'
import type { Desired } from './check.ts'

export interface Place {
  namespace: string
  name: string
}

const vaults = new WeakMap<Secret, Vault>()

const vaultOf = (rootSecret: Secret): Vault => {
  let vault = vaults.get(rootSecret)
  if (!vault) {
    vault = openVault(rootSecret, 'key_pair')
    vaults.set(rootSecret, vault)
  }
  return vault
}

const contextOf = ({ namespace, name }: Place): string => `${namespace}/${name}`

/** Undefined where none belongs to the certificate. */
export const findPrivateKey = async (db: Db, rootSecret: Secret, place: Place, certificate: string): Promise<Secret | undefined> => {
  const public_key_sha256 = fingerprintOf(parseChain(certificate)[0].publicKey)
  const found = await findKeyPairKey(db, { ...place, public_key_sha256 })
  return found && new Secret(vaultOf(rootSecret).open(found.sealed_key, contextOf(place)).toString())
}

interface Taken {
  /** Without the key. */
  spec: Desired['spec']
  /** To be called once the row is written. */
  keep(db: Db, row: Pick<ResourceRow, 'spec' | 'active_spec'>): Promise<void>
}

/** Throws Problem `invalid` unless the key that is given, or the one that is kept, belongs to the certificate. */
export const takePrivateKey = async (db: Db, rootSecret: Secret, desired: Desired, now: Date): Promise<Taken> => {
  const place = { namespace: desired.namespace, name: desired.name }
  const { certificate, privateKey } = desired.parsed as KeyPairSpec
  const { privateKey: _taken, ...spec } = desired.spec
  const key = privateKey ?? (await findPrivateKey(db, rootSecret, place, certificate))?.reveal()
  if (key === undefined) throw refusal('is needed: none that was given before belongs to this certificate')
  const problem = pairProblem(certificate, key)
  if (problem) throw refusal(problem)
  return {
    spec,
    keep: async (tx, row) => {
      await insertKeyPairKey(tx, {
        ...place,
        public_key_sha256: fingerprintOf(parsePrivateKey(key)),
        sealed_key: vaultOf(rootSecret).seal(key, contextOf(place)),
        created_at: now,
      })
      await deleteOtherKeyPairKeys(tx, { ...place, kept: [row.spec, row.active_spec].flatMap(publicKeyOf) })
    },
  }
}

const refusal = (detail: string) => new Problem('invalid', { errors: [{ pointer: '/spec/privateKey', detail }] })

const publicKeyOf = (spec: Record<string, unknown> | null): Buffer[] =>
  typeof spec?.certificate === 'string' ? [fingerprintOf(parseChain(spec.certificate)[0].publicKey)] : []

import { Application } from './application.ts'
import { AuthClient } from './auth_client.ts'
import { AuthPolicy } from './auth_policy.ts'
import { AuthServer } from './auth_server.ts'
import { ClaimMapper } from './claim_mapper.ts'
import { Flow } from './flow.ts'
import { Group } from './group.ts'
import { KeyPair } from './key_pair.ts'
import type { Kind } from './kind.ts'
import { Outpost } from './outpost.ts'
import { Role } from './role.ts'
import { User } from './user.ts'
import { UserStore } from './user_store.ts'

/** Every kind we offer; what is referred to stands before what refers to it. */
export const kinds = {
  UserStore,
  Group,
  User,
  Role,
  KeyPair,
  AuthPolicy,
  Flow,
  AuthServer,
  AuthClient,
  ClaimMapper,
  Outpost,
  Application,
} satisfies Record<string, Kind>

export type KindName = keyof typeof kinds
export const kindNames = Object.keys(kinds) as KindName[]

export const findKind = (name: string): Kind<KindName> | undefined => (Object.hasOwn(kinds, name) ? kinds[name as KindName] : undefined)

const byPlural = new Map<string, Kind<KindName>>(Object.values(kinds).map((kind) => [kind.plural, kind]))

/** By the word in addresses: `authclients`. */
export const findKindByPlural = (plural: string): Kind<KindName> | undefined => byPlural.get(plural)

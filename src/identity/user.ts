import type { UserRow } from '#/model/users.ts'
import { type ResourceMetadata, renderMetadata } from './resource_place.ts'

/** A user as REST shows it, and where it stands among the resources. */
export interface User {
  id: string
  username: string
  email: string | null
  emailVerified: boolean
  name: string | null
  active: boolean
  /** A language tag (BCP 47). */
  locale: string | null
  /** A program's user: no password, no sign-in through pages. */
  serviceAccount: boolean
  /** Names of the groups it is in by itself; `effectiveGroups` adds those above them. */
  groups: string[]
  attributes: Record<string, unknown>
  createdAt: Date
  updatedAt: Date
  /** Changes with everything above. Opaque. */
  resourceVersion: string
  metadata: ResourceMetadata
}

export const renderUser = (row: UserRow): User => ({
  id: row.user_id,
  username: row.username,
  email: row.email,
  emailVerified: row.email_verified,
  name: row.name,
  active: row.active,
  locale: row.locale,
  serviceAccount: row.service_account,
  groups: row.groups,
  attributes: row.attributes,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  resourceVersion: row.resource_version,
  metadata: renderMetadata(row),
})

import type { GroupRow } from '#/model/groups.ts'
import { type ResourceMetadata, renderMetadata } from './resource_place.ts'

/** A group as REST shows it, and where it stands among the resources. */
export interface Group {
  id: string
  name: string
  /** Usernames of those who are in it by themselves: the first ones in a large group. */
  members: string[]
  /** There are more members than are shown. */
  membersTruncated: boolean
  /** Names of the groups that have its members as theirs. */
  parents: string[]
  attributes: Record<string, unknown>
  createdAt: Date
  updatedAt: Date
  /** Changes with everything above. Opaque. */
  resourceVersion: string
  metadata: ResourceMetadata
}

/** Members shown of one group, and so at most written as a list. */
export const shownMembers = 10_000
/** Members shown of each group in a list of groups. */
export const shownMembersInList = 100

/** One more than is shown was asked for. */
export const renderGroup = (row: GroupRow, members = shownMembers): Group => ({
  id: row.group_id,
  name: row.name,
  members: row.members.slice(0, members),
  membersTruncated: row.members.length > members,
  parents: row.parents,
  attributes: row.attributes,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  resourceVersion: row.resource_version,
  metadata: renderMetadata(row),
})

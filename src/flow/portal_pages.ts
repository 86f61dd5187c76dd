/** What the pages of the portal are given. They stand here since one renderer knows all pages. */

import type { OwnApplication } from '#/resources/applications.ts'

interface PortalPage {
  person: { username: string; name: string }
  /** Goes with every post, and must be that of the session. */
  token: string
  /** Path of the flow to sign out by. */
  sign_out: string
  /** What was done: a key of the message catalogue. */
  notice?: string
}

export interface Applications extends PortalPage {
  applications: OwnApplication[]
}

export interface Account extends PortalPage {
  email?: string
  groups: string[]
  signedInAt: Date
  /** Path of the flow to close the account by. */
  close: string
}

interface ShownSession {
  uid: string
  device?: string
  /** Address of its network. */
  network?: string
  /** Host and path of the AuthServer, where it is another than this. */
  elsewhere?: string
  createdAt: Date
  lastUsedAt: Date
  expiresAt: Date
  isCurrent: boolean
}

export interface AccountSessions extends PortalPage {
  sessions: ShownSession[]
  /** Of the pages. */
  isFirst: boolean
  /** Where a second factor is not asked for. */
  devices: { id: string; device?: string; createdAt: Date; expiresAt: Date }[]
  /** Cursor of older sessions. */
  next?: string
}

export interface AccountConsents extends PortalPage {
  consents: { id: string; client: string; scopes: string[]; createdAt: Date }[]
}

export interface AccountFactors extends PortalPage {
  factors: { id: string; type: string; name: string | null; createdAt: Date; lastUsedAt: Date | null }[]
  /** Types that may be added. */
  kinds: string[]
}

export interface AccountEmail extends PortalPage {
  email?: string
  isConfirmed: boolean
  /** Otherwise addresses are an administrator's to change. */
  canSend: boolean
  /** Signed in lately enough to ask for a change; otherwise at `sign_in`, a path. */
  isFresh: boolean
  sign_in: string
  pending?: { email: string; old?: string; isNewConfirmed: boolean; isOldConfirmed: boolean; expiresAt: Date }
  mistakes: { field: string; text: string }[]
  /** As it was typed. */
  value?: string
}

export interface AccountPassword extends PortalPage {
  /** Characters a new password has at least. */
  min_length: number
  mistakes: { field: string; text: string }[]
}

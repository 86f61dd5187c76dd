import type { PageRenderer } from '#/flow/pages.ts'
import type { AccountConsents } from '#/flow/portal_pages.ts'
import { scopesInWords } from '#/flow/stage_page.ts'
import { recordChange } from '#/identity/change.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { isUuid } from '#/lib/uuid.ts'
import { listConsents, revokeConsent } from '#/model/consents.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import { changeOf, type Person } from './person.ts'

/** Of this AuthServer, by client. */
export const listShownConsents = async (
  { db, pages, snapshot }: { db: Db; pages: PageRenderer; snapshot: Snapshot },
  { session, authServer, locales }: Person,
): Promise<AccountConsents['consents']> => {
  const text = (key: string, values?: Record<string, unknown>) => pages.text(locales, key, values)
  const consents = await listConsents(db, session.user.id)
  return consents
    .filter(({ issuer }) => issuer === authServer.issuerUrl)
    .map(({ consent_id, client_id, scopes, resources, created_at }) => ({
      id: consent_id,
      client: snapshot.clientById(authServer.namespace, authServer.name, client_id)?.resource.spec.displayName ?? client_id,
      scopes: scopesInWords({ scopes, resources }, text).map((scope) => scope.text),
      createdAt: created_at,
    }))
}

/** With every token that was given by it. */
export const withdrawConsent = (
  { db }: { db: Db },
  person: Person,
  { consent = '' }: Readonly<Record<string, string>>,
  now: Date,
): Promise<'consent_withdrawn'> =>
  db.transaction(async (tx) => {
    if (!isUuid(consent)) throw new Problem('bad_request', { detail: 'no consent is named' })
    const { user } = person.session
    const revoked = await revokeConsent(tx, { user_id: user.id, consent_id: consent })
    if (revoked)
      await recordChange(
        tx,
        changeOf(person),
        { action: 'consent.withdrawn', target: { kind: 'User', name: user.username }, data: { client: revoked.client_id, consent } },
        now,
      )
    return 'consent_withdrawn' as const
  })

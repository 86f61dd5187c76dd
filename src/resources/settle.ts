/**
 * After a change of configuration, in its transaction: what does it mean for everything else? Refuses a change that names itself
 * out of bounds, brings every status up to date, gives secrets to clients that came into being.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Change, recordChange } from '#/identity/change.ts'
import type { Resource, Status } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { deleteCredentials } from '#/model/client_credentials.ts'
import { listActiveSpecs, listAffectedResources, type ResourceRow, writeStatus } from '#/model/resources.ts'
import { ensureClientSecret } from './client_secrets.ts'
import { type Configuration, compileConfiguration, type Problem as Fault } from './configuration.ts'
import { mayLockOut, type Removed, refuseLockOut } from './removal.ts'
import { keyOf, type Parsed, parseActive } from './resource.ts'
import { nextStatus } from './status.ts'

interface Settling {
  rootSecret: Secret
  change: Change
  now: Date
  /** What was just written or removed. */
  about: { kind: string; namespace: string; name: string }
}

/** Kinds whose status may change with one of another kind; a change of a kind not listed concerns itself alone. */
const dependents: Record<string, 'all' | readonly string[]> = {
  UserStore: 'all',
  AuthServer: 'all',
  AuthPolicy: 'all',
  AuthClient: ['AuthPolicy', 'Application'],
  Flow: ['Flow'],
  Outpost: ['Application'],
  Application: ['Outpost'],
}

/** Throws Problem `invalid` with every field at fault, when the fault lies in what was written. */
export const settle = async (db: Db, { rootSecret, change, now, about }: Settling): Promise<void> => {
  const parsed = await readParsed(db)
  const configuration = compileConfiguration(activeOf(parsed))
  refuseFault(configuration, about)
  const concerned = dependents[about.kind] ?? []
  const rows = await listAffectedResources(db, { all: concerned === 'all', kinds: concerned === 'all' ? [] : concerned, one: about })
  for (const row of rows) {
    const of = parsed.get(keyOf(row.kind, row.namespace, row.name)) ?? { kind: 'inactive' }
    const status = nextStatus(row, of, configuration, now)
    if (isDeepStrictEqual(row.status, status)) continue
    if (row.kind === 'AuthClient') await provision(db, { row, parsed: of, status }, { rootSecret, now })
    await writeStatus(db, row, status)
    await recordReadiness(db, row, status, { change, now })
  }
}

const readParsed = async (db: Db): Promise<Map<string, Parsed>> =>
  new Map((await listActiveSpecs(db)).map((row) => [keyOf(row.kind, row.namespace, row.name), parseActive(row)]))

const activeOf = (parsed: ReadonlyMap<string, Parsed>): Resource[] =>
  [...parsed.values()].flatMap((each) => (each.kind === 'active' ? [each.resource] : []))

/** Before something is deleted, in the same transaction: throws Problem `conflict` when nobody would get in without it. */
export const checkRemoval = async (db: Db, removed: Removed, baseUrl: string | undefined): Promise<void> => {
  if (!mayLockOut.has(removed.kind)) return
  const parsed = await readParsed(db)
  const before = compileConfiguration(activeOf(parsed))
  parsed.delete(keyOf(removed.kind, removed.namespace, removed.name))
  refuseLockOut(removed, { before, after: compileConfiguration(activeOf(parsed)), baseUrl })
}

const refuseFault = ({ clients, authServerByKey }: Configuration, { kind, namespace, name }: Settling['about']): void => {
  const key = `${namespace}/${name}`
  const fault = kind === 'AuthClient' ? clients.get(key)?.problem : kind === 'AuthServer' ? authServerByKey.get(key)?.problem : undefined
  if (fault?.errors.length) throw new NotProvisioned(fault)
}

/** The refusal of what would not be Ready through its own fault; carries the reason that status would give. */
export class NotProvisioned extends Problem {
  readonly reason: string
  readonly why: string
  constructor({ reason, message, errors }: Fault) {
    super('invalid', { detail: `${reason}: ${message}`, errors: [...errors] })
    this.reason = reason
    this.why = message
  }
}

/** A client gets its secret when it becomes Ready, keeps it while it is refused for a time, and loses it when it needs none any more. */
const provision = async (
  db: Db,
  { row, parsed, status }: { row: ResourceRow; parsed: Parsed; status: Status },
  { rootSecret, now }: Pick<Settling, 'rootSecret' | 'now'>,
): Promise<void> => {
  if (status.clientSecretRef !== undefined && row.status.clientSecretRef === undefined)
    await ensureClientSecret(db, rootSecret, row.namespace, row.name, now)
  const isReady = status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True')
  if (parsed.kind === 'active' && isReady && status.clientSecretRef === undefined) await deleteCredentials(db, row.namespace, row.name)
}

const readyOf = (status: Status) => status.conditions?.find(({ type }) => type === 'Ready')

/** Someone else's change made it come or go: that is worth an event. */
const recordReadiness = async (
  db: Db,
  row: ResourceRow,
  status: Status,
  { change, now }: Pick<Settling, 'change' | 'now'>,
): Promise<void> => {
  const before = readyOf(row.status as Status)
  const after = readyOf(status)
  if (!before || !after || (before.status === after.status && before.reason === after.reason)) return
  await recordChange(
    db,
    change,
    {
      action: `${row.kind.toLowerCase()}.${after.status === 'True' ? 'ready' : 'not_ready'}`,
      target: { kind: row.kind, name: `${row.namespace}/${row.name}` },
      changes: { '/status/conditions/Ready': { before: before.reason, after: after.reason } },
      data: { message: after.message },
    },
    now,
  )
}

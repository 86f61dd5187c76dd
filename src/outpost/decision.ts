/**
 * Whether a request may pass. The one place that decides, for every mode and every proxy in front; whatever goes wrong on the way refuses.
 */
import { publicPathPattern } from '#/kinds/public_path.ts'
import type { Log } from '#/lib/log.ts'
import { meetsAcr } from '#/policy/acr.ts'
import { decideAccess } from '#/policy/application_access.ts'
import { type Address, isPlain } from './address.ts'
import type { Core, GuardedApplication, Person } from './core.ts'
import type { Machines } from './machines.ts'
import type { People } from './people.ts'
import { waysToRead } from './readings.ts'
import { demandsOf, type Session, type Sessions } from './session.ts'
import { hasAskedFor } from './told_claims.ts'

export interface Question {
  application: GuardedApplication
  address: Address
  cookies: string | undefined
  authorization: string | undefined
  /** Undefined where a proxy does not say it. */
  method: string | undefined
  network: string
  now: number
}

export type Decision =
  | { kind: 'allowed'; session: Session; person: Person }
  /** Anyone may ask for this path; whoever is signed in is named all the same. */
  | { kind: 'public'; signedIn: { session: Session; person: Person } | undefined }
  | { kind: 'sign_in' }
  | { kind: 'refused'; reason: string }

export interface DecisionDeps {
  core: Core
  log: Log
  sessions: Sessions
  people: People
  machines: Machines
}

const patterns = new WeakMap<readonly string[], readonly RegExp[]>()

/** The first pattern of an application that opens a path; undefined when none does. */
export const publicPattern = ({ publicPaths }: Pick<GuardedApplication, 'publicPaths'>, path: string): string | undefined => {
  if (publicPaths.length === 0 || !isPlain(path)) return undefined
  let compiled = patterns.get(publicPaths)
  if (!compiled) {
    compiled = publicPaths.map(publicPathPattern)
    patterns.set(publicPaths, compiled)
  }
  const index = compiled.findIndex((pattern) => pattern.test(path))
  return publicPaths[index]
}

/** Not a promise where nobody has to be asked, which is nearly always. */
export const decide = (deps: DecisionDeps, question: Question): Decision | Promise<Decision> => {
  const { application, cookies, now } = question
  if (application.problem !== undefined) return { kind: 'refused', reason: 'the application is closed: its settings are wrong' }
  const session = deps.sessions.read(cookies, application, now)
  const isLive = session && hasAskedFor(session, application, now) && !deps.core.hasEnded(session.issuer, session.sid, session.signedInAt)
  const live = isLive ? session : undefined
  const person = live && deps.people.current(live, now)
  if (person instanceof Promise) return person.then((found) => judge(deps, question, live, found))
  const judged = judge(deps, question, live, person)
  if (judged.kind !== 'sign_in' || live) return judged
  return byToken(deps, question) ?? judged
}

/** Undefined when the request brings no token. Programs have no second factor, so where one is demanded none gets in. */
const byToken = (deps: DecisionDeps, question: Question): Promise<Decision> | undefined => {
  const { application, authorization, now } = question
  const machine = deps.machines.find(authorization, application, now)
  return machine?.then((person): Decision => {
    if (!person) return { kind: 'sign_in' }
    const session: Session = {
      sid: '',
      issuer: application.issuer.url,
      person,
      acr: '1fa',
      amr: [],
      vouchedFor: '',
      signedInAt: now,
      expiresAt: now,
    }
    return judge(deps, question, session, person)
  })
}

const judge = (deps: DecisionDeps, question: Question, session: Session | undefined, person: Person | undefined): Decision => {
  const { application, address, method, network } = question
  const isOpen = publicPattern(application, address.path) !== undefined
  if (!session || !person) return isOpen ? { kind: 'public', signedIn: undefined } : { kind: 'sign_in' }
  const isEnough =
    meetsAcr(session.acr, [application.acr]) && (application.requiredFactors === undefined || session.vouchedFor === demandsOf(application))
  const access = decideAccess(application.access, {
    user: person,
    groups: person.groups,
    client: application.client,
    network,
    request:
      application.access?.when === undefined
        ? undefined
        : { host: address.host, paths: waysToRead(address.path), ...(method === undefined ? {} : { method }) },
  })
  const isAllowed = isEnough && access.kind === 'allowed'
  if (isOpen) return { kind: 'public', signedIn: isAllowed ? { session, person } : undefined }
  if (!isEnough) return { kind: 'sign_in' }
  if (access.kind === 'allowed') return { kind: 'allowed', session, person }
  if (access.failed !== undefined)
    deps.log.warn(
      { event: 'outpost.access.failed', application: application.key, reason: access.failed.slice(0, 300) },
      'an access expression failed',
    )
  return { kind: 'refused', reason: `${person.username} may not use ${application.displayName}` }
}

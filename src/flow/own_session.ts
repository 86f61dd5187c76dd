/** What an attempt hangs on that is of someone signed in. */
import { findSession, isFresh } from '#/identity/sessions.ts'
import type { FlowAttempt } from '#/model/flow_attempts.ts'
import { AttemptOver } from './attempt_over.ts'
import { type Flow, isForSignedIn } from './flows.ts'
import type { Facts, FlowDeps, FlowRequest } from './stage.ts'

/** For what a person does between the beginning and the end, such as to find their phone. */
const setUpMs = 5 * 60_000

interface Hanging {
  flow: Flow
  request: FlowRequest
  row: FlowAttempt
  /** Where the person goes on, if not where the attempt would have led. */
  known: FlowAttempt | undefined
  now: Date
}

/** Throws AttemptOver unless this browser has the session still. Nothing to look at where the attempt hangs on none. */
export const checkOwnSession = async (deps: FlowDeps, { flow, request, row, known, now }: Hanging): Promise<void> => {
  const facts = row.facts as Facts
  if (!isForSignedIn(flow) && facts.from_session === undefined) return
  const session = await findOwnSession(deps, request, facts, now)
  if (!session) throw new AttemptOver('the session has changed', known ?? row)
  // It was fresh when it began.
  if (isForSignedIn(flow) && !isFresh(session, now, setUpMs)) throw new AttemptOver('the sign-in is too long ago', known)
}

const findOwnSession = async ({ db }: FlowDeps, { session: token, authServer, network }: FlowRequest, facts: Facts, now: Date) => {
  const session = token === undefined ? undefined : await findSession(db, token, now, network)
  if (!session || session.issuer !== authServer.issuerUrl || session.user.id !== facts.user_id) return undefined
  return facts.from_session === undefined || facts.from_session === session.uid ? session : undefined
}

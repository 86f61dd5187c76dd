/**
 * Which flow answers to a name: a Flow resource of the AuthServer's namespace, else of namespace `default`, else the one we ship. Each is compiled
 * once. A name in an address is that of the resource; where a flow is named for its stage, it is the stage's, whose `_` no resource may have.
 */

import { flowVariables } from '#/kinds/expression_variables.ts'
import { seconds } from '#/kinds/fields.ts'
import type { Designation, FlowSpec, FlowStage } from '#/kinds/flow.ts'
import { type StageName, stageNames } from '#/kinds/flow_stages.ts'
import { canonicalJson } from '#/lib/canonical_json.ts'
import { parseDuration } from '#/lib/clock.ts'
import { sha256 } from '#/lib/crypto.ts'
import { compileExpression, type Expression } from '#/lib/expression.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { defaultFlows } from '#/resources/default_flows.ts'
import { clientOfApplication } from '#/resources/outpost_client.ts'
import type { Snapshot } from '#/resources/snapshot.ts'

export interface Flow {
  name: string
  /** Of its resource; `default` for one that ships. */
  namespace: string
  designation: Designation
  /** Milliseconds an attempt may take. */
  attemptTtlMs: number
  stages: readonly CompiledStage[]
  /** Another one as soon as its stages are others. */
  revision: string
}

export interface CompiledStage {
  stage: StageName
  /** Checked, and with their defaults. */
  settings: Readonly<Record<string, unknown>>
  when: Expression | undefined
  onRefusal: FlowStage['onRefusal']
}

/** Flows that change what a person has: for whoever is signed in, and only for them. */
export const isForSignedIn = ({ designation }: Flow): boolean => designation === 'stage_configuration' || designation === 'unenrollment'

const compiled = new WeakMap<FlowSpec, Flow>()

const compile = (namespace: string, name: string, spec: FlowSpec): Flow => {
  const known = compiled.get(spec)
  if (known) return known
  const flow: Flow = {
    name: wireName(name),
    namespace,
    designation: spec.designation,
    attemptTtlMs: parseDuration(spec.attemptTTL) ?? 30 * 60_000,
    stages: (spec.stages as FlowStage[]).map(({ stage, when, onRefusal, ...settings }) => ({
      stage,
      settings,
      when: when === undefined ? undefined : compileExpression(when, flowVariables),
      onRefusal,
    })),
    revision: sha256(canonicalJson(spec.stages)).toString('base64url'),
  }
  compiled.set(spec, flow)
  return flow
}

const stages: readonly string[] = stageNames
const wireName = (name: string): string => {
  const stage = name.replaceAll('-', '_')
  return stages.includes(stage) ? stage : name
}

/** Seconds that a device may be remembered which signs in by this flow: what policies allow, and no longer than each user_login says. */
export const rememberSeconds = (flow: Flow, allowed: number | undefined): number | undefined => {
  if (allowed === undefined || flow.designation !== 'authentication') return undefined
  const said = flow.stages.flatMap(({ stage, settings: { rememberDevice } }) =>
    stage === 'user_login' && typeof rememberDevice === 'string' ? [seconds(rememberDevice)] : [],
  )
  return Math.min(allowed, ...said)
}

let shipped: ReadonlyMap<string, FlowSpec> | undefined

/** Undefined for a name that no flow has. */
export const findFlow = (
  snapshot: Pick<Snapshot, 'get'>,
  { namespace }: Pick<AuthServerRef, 'namespace'>,
  name: string,
): Flow | undefined => {
  if (!/^[a-z0-9][a-z0-9_.-]{0,252}$/.test(name)) return undefined
  const resource = name.replaceAll('_', '-')
  const found = snapshot.get('Flow', namespace, resource) ?? snapshot.get('Flow', 'default', resource)
  if (found) return compile(found.metadata.namespace, resource, found.spec)
  shipped ??= defaultFlows()
  const spec = shipped.get(resource)
  return spec && compile('default', resource, spec)
}

/** Throws not_found. */
export const getFlow = (
  { snapshot }: { snapshot: Pick<Snapshot, 'get'> },
  authServer: Pick<AuthServerRef, 'namespace'>,
  name: string,
): Flow => {
  const flow = findFlow(snapshot, authServer, name)
  if (!flow) throw new Problem('not_found', { detail: 'there is no such flow' })
  return flow
}

/** Name of the flow for something: what the Application of the client says, else the AuthServer, else the one that is named for it. */
export const flowFor = (
  snapshot: Pick<Snapshot, 'findAuthServer' | 'list' | 'client'>,
  { namespace, name }: Pick<AuthServerRef, 'namespace' | 'name'>,
  designation: Designation,
  client_id?: string,
): string => {
  const chosen = client_id === undefined ? undefined : flowsOfClient(snapshot, { namespace, name }, client_id)?.[designation]
  return chosen ?? (snapshot.findAuthServer(namespace, name)?.spec.flows as Choice | undefined)?.[designation] ?? designation
}

type Choice = Partial<Record<Designation, string>>

const flowsOfClient = (
  snapshot: Pick<Snapshot, 'list' | 'client'>,
  authServer: { namespace: string; name: string },
  client_id: string,
): Choice | undefined => {
  for (const application of snapshot.list('Application')) {
    const { flows } = application.spec
    if (!flows) continue
    const client = clientOfApplication(snapshot, application)
    const isOf = client?.authServer?.namespace === authServer.namespace && client.authServer.name === authServer.name
    if (isOf && client.clientId === client_id) return flows as Choice
  }
  return undefined
}

/** Who may use an application: pure. What cannot be decided is refused. */
import type { ApplicationSpec } from '#/kinds/application.ts'
import { accessVariables } from '#/kinds/expression_variables.ts'
import { compileExpression } from '#/lib/expression.ts'

export interface AccessQuestion {
  user: { username: string; email: string | null; name: string | null; active: boolean; attributes: Record<string, unknown> }
  /** Also those above the ones the person is in by themselves. */
  groups: readonly string[]
  /** `{name, clientId, labels…}`, empty for an application without a client. */
  client: Record<string, unknown>
  /** Undefined when it is not the person who calls but an application of theirs: a rule on networks was asked when they signed in. */
  network: string | undefined
  /**
   * To the application. `paths`: in each way that a server may read it, since another one answers it; the rule has to hold for all of them, and for no way at all it does not. Without
   * `method` nobody said it. Undefined where there is none, at the sign-in: the outpost asks rules on requests about each.
   */
  request?: { host: string; paths: readonly string[]; method?: string } | undefined
}

/** `failed` says that the expression did: a refusal, and a mistake of the configuration. */
export type Access =
  | { kind: 'allowed'; by: 'everyone' | 'users' | 'groups'; group?: string }
  | { kind: 'refused'; because: 'inactive' | 'not_named' | 'when'; failed?: string }

export const decideAccess = (access: ApplicationSpec['access'], { user, groups, client, network, request }: AccessQuestion): Access => {
  if (!user.active) return { kind: 'refused', because: 'inactive' }
  if (!access) return { kind: 'allowed', by: 'everyone' }
  const isNamed = access.users?.some((username) => sameName(username, user.username)) ?? false
  const group = access.groups?.find((wanted) => groups.some((own) => sameName(wanted, own)))
  const isOpen = access.users === undefined && access.groups === undefined
  if (!isOpen && !isNamed && group === undefined) return { kind: 'refused', because: 'not_named' }
  const allowed: Access = isOpen
    ? { kind: 'allowed', by: 'everyone' }
    : isNamed
      ? { kind: 'allowed', by: 'users' }
      : { kind: 'allowed', by: 'groups', ...(group === undefined ? {} : { group }) }
  if (access.when === undefined) return allowed
  try {
    const when = compileExpression(access.when, accessVariables)
    if (network === undefined && when.reads.has('network')) return allowed
    const holds = (asked: Record<string, string>) => when.evaluate({ user: { ...user, groups }, client, network, request: asked }) === true
    if (!when.reads.has('request')) return holds({}) ? allowed : { kind: 'refused', because: 'when' }
    if (!request) return allowed
    const { host, paths, method } = request
    const areAll = paths.length > 0 && paths.every((path) => holds({ host, path, ...(method === undefined ? {} : { method }) }))
    return areAll ? allowed : { kind: 'refused', because: 'when' }
  } catch (error) {
    return { kind: 'refused', because: 'when', failed: (error as Error).message }
  }
}

const sameName = (a: string, b: string) => a.normalize('NFKC').toLowerCase() === b.normalize('NFKC').toLowerCase()

/** What an issuer offers, as its discovery document says: no more than its policies let any client have. */
import type { EffectivePolicy } from '#/policy/effective_policy.ts'
import type { ResolvedAuthServer, Snapshot } from '#/resources/snapshot.ts'

export interface Offered {
  grantTypes: string[]
  responseTypes: string[]
  authMethods: string[]
  /** Every scope that a client or a policy names. */
  scopes: string[]
  /** Those that some policy lets a client have. Undefined: one says nothing about scopes. */
  allowedScopes: string[] | undefined
  requirePushedAuthorizationRequests: boolean
  requireSignedRequestObject: boolean
}

const sorted = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())].sort()

export const offeredBy = (snapshot: Pick<Snapshot, 'list' | 'client'>, authServer: ResolvedAuthServer): Offered => {
  const policies = new Set<EffectivePolicy>([authServer.policy])
  const scopes: (readonly string[])[] = authServer.policies.map(({ spec }) => spec.allowedScopes ?? [])
  for (const { spec, metadata } of snapshot.list('AuthClient')) {
    if (spec.authServerRef.name !== authServer.name || (spec.authServerRef.namespace ?? metadata.namespace) !== authServer.namespace)
      continue
    const client = snapshot.client(metadata.namespace, metadata.name)
    if (client) policies.add(client.policy)
    scopes.push(spec.scopes)
  }
  const all = [...policies]
  return {
    grantTypes: sorted(all.map(({ allowedGrantTypes }) => allowedGrantTypes)),
    responseTypes: sorted(all.map(({ allowedResponseTypes }) => allowedResponseTypes)),
    authMethods: sorted(all.map(({ authMethods }) => authMethods)),
    scopes: sorted(scopes),
    allowedScopes: all.some(({ allowedScopes }) => allowedScopes === undefined)
      ? undefined
      : sorted(all.map(({ allowedScopes }) => allowedScopes ?? [])),
    requirePushedAuthorizationRequests: all.every((policy) => policy.requirePushedAuthorizationRequests),
    requireSignedRequestObject: all.every((policy) => policy.requireSignedRequestObject),
  }
}

const words = (type: string) => type.split(' ').sort().join(' ')

/** Takes out of a discovery document what no client could use. */
export const restrictDiscovery = (document: Record<string, unknown>, offered: Offered): void => {
  const keep = (field: string, isOffered: (value: string) => boolean) => {
    const values = document[field]
    if (Array.isArray(values)) document[field] = values.filter((value) => isOffered(String(value)))
  }
  const types = new Set(offered.responseTypes.map(words))
  keep('grant_types_supported', (grant) => offered.grantTypes.includes(grant))
  keep('response_types_supported', (type) => types.has(words(type)))
  keep('token_endpoint_auth_methods_supported', (method) => offered.authMethods.includes(method))
  const { allowedScopes } = offered
  if (allowedScopes) keep('scopes_supported', (scope) => allowedScopes.includes(scope))
  if (!offered.grantTypes.includes('urn:ietf:params:oauth:grant-type:device_code')) document.device_authorization_endpoint = undefined
  if (offered.requirePushedAuthorizationRequests) document.require_pushed_authorization_requests = true
  if (offered.requireSignedRequestObject) document.require_signed_request_object = true
}

import type { Client, Provider } from 'oidc-provider'

/** What a client knows a person by: their id, or for one with pairwise subjects another of its own (OpenID Connect Core section 8). */
export const subjectOf = async (provider: Provider, accountId: string, client: Client): Promise<string> => {
  if (client.subjectType !== 'pairwise') return accountId
  const claims = new provider.Claims({ sub: accountId }, { client } as never)
  claims.mask({ sub: null })
  return String((await claims.result()).sub)
}

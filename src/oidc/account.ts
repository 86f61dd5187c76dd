import type { Account, KoaContextWithOIDC } from 'oidc-provider'
import type { Db } from '#/lib/sql.ts'
import { isUuid } from '#/lib/uuid.ts'
import { findHolder, type Holder } from '#/model/grants.ts'
import type { Claims } from './claims.ts'
import { factsOf } from './clients.ts'
import { memoryOfContext } from './request_memory.ts'

export interface Person extends Account {
  holder: Holder
}

interface Access {
  /** Whether the client of a request to the token endpoint may have tokens for the person. */
  mayHold(context: KoaContextWithOIDC, holder: Holder): Promise<boolean>
}

/** Undefined when there is no such person, they are not active, or the client that wants tokens is not theirs to use. Mostly the request has met them already, with their grant or session. */
export const openAccounts =
  ({ db, claims, access }: { db: Db; claims: Claims; access: Access }) =>
  async (context: KoaContextWithOIDC, accountId: string): Promise<Person | undefined> => {
    const memory = memoryOfContext(context)
    let { holder } = memory
    if (holder?.user_id !== accountId) {
      holder = isUuid(accountId) ? await findHolder(db, accountId) : undefined
      if (holder) memory.holder = holder
    }
    if (!holder) return undefined
    // Codes, refresh tokens and device codes all come by here before they give anything.
    if (context.oidc.route === 'token' && !(await access.mayHold(context, holder))) return undefined
    const person = holder
    return {
      holder: person,
      accountId,
      claims: async (use, scope, requested) => {
        const { client } = context.oidc
        if (!client) throw new Error('claims without a client')
        return {
          sub: accountId,
          ...(await claims.of({
            person,
            client,
            facts: factsOf(client),
            use: use === 'userinfo' ? 'userinfo' : 'id_token',
            scopes: scope ? scope.split(' ') : [],
            requested: Object.keys(requested ?? {}),
          })),
        }
      },
    }
  }

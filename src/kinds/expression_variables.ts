/** What expressions of kinds can see, with their types; evaluation hands in exactly these. */
import type { ExpressionVariables } from '#/lib/expression.ts'

/** user{username, email, name, active, groups[], attributes{}…}, client{name, clientId, labels…}, scopes[]. */
export const claimVariables = { user: 'map', client: 'map', scopes: 'list<string>' } as const satisfies ExpressionVariables

export const accessVariables = { user: 'map', client: 'map', network: 'string' } as const satisfies ExpressionVariables

/** What expressions of kinds can see, with their types; evaluation hands in exactly these. */
import type { ExpressionVariables } from '#/lib/expression.ts'

/** user{username, email, name, active, groups[], attributes{}…}, client{name, clientId, labels…}, scopes[]. */
export const claimVariables = { user: 'map', client: 'map', scopes: 'list<string>' } as const satisfies ExpressionVariables

/** The same of user and client; request{host, path, method} to the application, which only the outpost in front of it knows. */
export const accessVariables = { user: 'map', client: 'map', network: 'string', request: 'map' } as const satisfies ExpressionVariables

/**
 * user{username, email, name, active, groups[], attributes{}} of a person who has proven something, empty before; request{host, locales[], userAgent, acr_values[]};
 * client{clientId, name}, empty without one; facts{amr[], acr, ...}; reputation of the network, 0 when nothing is known.
 */
export const flowVariables = {
  user: 'map',
  request: 'map',
  client: 'map',
  network: 'string',
  facts: 'map',
  reputation: 'int',
} as const satisfies ExpressionVariables

/** What was entered into one field of a prompt, and into all of them. */
export const promptVariables = { value: 'string', fields: 'map' } as const satisfies ExpressionVariables

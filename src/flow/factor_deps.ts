import { type FactorDeps, siteOf } from '#/identity/factor.ts'
import type { FlowDeps, FlowRequest } from './stage.ts'

/** What second factors want to know of a request. */
export const factorDepsOf = (
  { db, rootSecret }: Pick<FlowDeps, 'db' | 'rootSecret'>,
  { authServer }: Pick<FlowRequest, 'authServer'>,
): FactorDeps => ({
  db,
  rootSecret,
  site: siteOf(authServer),
})

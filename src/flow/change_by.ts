import type { Change } from '#/identity/change.ts'
import type { FlowDeps, FlowRequest } from './stage.ts'

/** Who changes something in a flow, and from where; whom it concerns is told. */
export const changeBy = (
  actor: string,
  { settings, rootSecret }: Pick<FlowDeps, 'settings' | 'rootSecret'>,
  { network, requestId, userAgent, authServer: { issuerUrl, displayName: product } }: FlowRequest,
): Change => ({ actor, network, requestId, notices: { settings, rootSecret, issuerUrl, product, userAgent } })

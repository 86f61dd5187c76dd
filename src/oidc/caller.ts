import { Provider } from 'oidc-provider'
import { getCaller } from '#/lib/http.ts'

export interface Visitor {
  network: string | undefined
  userAgent: string | undefined
  requestId: string | undefined
}

/** Who stands behind the request that runs. */
export const callerOfContext = (): Visitor => {
  const context = Provider.ctx
  if (!context) return { network: undefined, userAgent: undefined, requestId: undefined }
  const { network, requestId } = getCaller(context.req)
  return { network, userAgent: context.req.headers['user-agent'], requestId }
}

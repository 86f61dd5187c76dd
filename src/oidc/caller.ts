import { Provider } from 'oidc-provider'
import { getCaller } from '#/lib/http.ts'

export interface Visitor {
  network: string | undefined
  userAgent: string | undefined
}

/** Who stands behind the request that runs. */
export const callerOfContext = (): Visitor => {
  const context = Provider.ctx
  if (!context) return { network: undefined, userAgent: undefined }
  return { network: getCaller(context.req).network, userAgent: context.req.headers['user-agent'] }
}

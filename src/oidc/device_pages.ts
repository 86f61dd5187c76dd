import type { KoaContextWithOIDC } from 'oidc-provider'
import { errors } from 'oidc-provider'
import { getCaller } from '#/lib/http.ts'
import { type PageDeps, shownClient, showPage } from './pages.ts'

const xsrfOf = ({ oidc }: KoaContextWithOIDC): string => {
  const secret = oidc.session?.state?.secret
  if (typeof secret !== 'string') throw new errors.InvalidRequest('could not find device form details')
  return secret
}

/** By the name of the library's error; whatever else goes wrong is a mistake nobody can name. */
const mistakes: Record<string, string> = {
  NoCodeError: 'missing',
  NotFoundError: 'unknown',
  ExpiredError: 'expired',
  AlreadyUsedError: 'used',
  AbortedError: 'aborted',
  TooManyGuessesError: 'limited',
}

export const deviceFlowPages = (deps: PageDeps) => ({
  deviceInfo: (context: KoaContextWithOIDC) => ({
    network: getCaller(context.req).network,
    user_agent: (context.req.headers['user-agent'] ?? '').slice(0, 400),
  }),
  userCodeInputSource: (context: KoaContextWithOIDC, _form: string, _out?: unknown, error?: Error & { userCode?: string }) => {
    showPage(deps, context, 'device_input', {
      action: context.oidc.urlFor('code_verification'),
      hidden: { xsrf: xsrfOf(context) },
      charset: 'base-20',
      ...(error && { mistake: mistakes[error.name] ?? mistakes[error.constructor.name] ?? 'unknown' }),
      ...(error?.userCode !== undefined && { user_code: error.userCode }),
    })
  },
  userCodeConfirmSource: (
    context: KoaContextWithOIDC,
    _form: string,
    client: { clientId: string },
    deviceInfo: { network?: unknown; user_agent?: unknown },
    userCode: string,
  ) => {
    showPage(deps, context, 'device_confirm', {
      action: context.oidc.urlFor('code_verification'),
      hidden: { xsrf: xsrfOf(context), user_code: userCode, confirm: 'yes' },
      client: shownClient(client),
      user_code: userCode,
      ...(typeof deviceInfo?.network === 'string' && { network: deviceInfo.network }),
      ...(typeof deviceInfo?.user_agent === 'string' && { user_agent: deviceInfo.user_agent }),
    })
  },
  successSource: (context: KoaContextWithOIDC) => {
    const { client } = context.oidc
    showPage(deps, context, 'device_success', { ...(client && { client: shownClient(client) }) })
  },
})

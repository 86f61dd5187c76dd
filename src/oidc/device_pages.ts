import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
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

/**
 * The code of `verification_uri_complete` (RFC 8628 section 3.3.1) is taken out of the request before the library reads it, which would post it on by a page
 * of its own. It stands in our form: whoever opens the address sees it and sends it.
 */
export const fillInUserCode = (provider: Provider): void => {
  provider.use(async (context, next) => {
    if (verificationPath.test(context.path) && 'user_code' in context.query) {
      const { user_code: _, ...query } = context.query
      context.query = query
    }
    await next()
  })
}

/** As the library's router reads it. */
const verificationPath = /^\/oauth2\/device\/verify\/?$/i
const largestUserCode = 32

const givenUserCode = ({ originalUrl }: KoaContextWithOIDC): string | undefined => {
  const given = URL.parse(originalUrl, 'http://own.invalid')?.searchParams.get('user_code')
  return given ? given.slice(0, largestUserCode) : undefined
}

export const deviceFlowPages = (deps: PageDeps) => ({
  deviceInfo: (context: KoaContextWithOIDC) => ({
    network: getCaller(context.req).network,
    user_agent: (context.req.headers['user-agent'] ?? '').slice(0, 400),
  }),
  userCodeInputSource: (context: KoaContextWithOIDC, _form: string, _out?: unknown, error?: Error & { userCode?: string }) => {
    const user_code = error?.userCode ?? givenUserCode(context)
    showPage(deps, context, 'device_input', {
      action: context.oidc.urlFor('code_verification'),
      hidden: { xsrf: xsrfOf(context) },
      charset: 'base-20',
      ...(error && { mistake: mistakes[error.name] ?? mistakes[error.constructor.name] ?? 'unknown' }),
      ...(user_code !== undefined && { user_code }),
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

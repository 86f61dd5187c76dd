/**
 * What those are told who may not pass without having signed in: a person is led there, a program is told 401 and by what it could get in
 * (RFC 9110 section 15.5.2).
 *
 * Browsers ask people for a name and a password as soon as they read `Basic`, also when a script made the request. So only what came with
 * Basic and shows no sign of a browser is answered by it; `Bearer` shows nothing to anyone.
 */
import type { IncomingMessage } from 'node:http'
import { isPage } from './answers.ts'
import type { GuardedApplication } from './core.ts'
import { isOwnToken } from './machines.ts'

type Asking = Pick<IncomingMessage, 'headers'>

export const isLedToSignIn = (method: string, request: Asking): boolean => isPage(method, request) && !isByProgram(request)

/** Whether its credentials are those of a program. A browser comes with some as well: those that the application itself asked for. */
const isByProgram = ({ headers }: Asking): boolean => {
  if (!isScheme('bearer', headers) && !isScheme('basic', headers)) return false
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined) return mode !== 'navigate'
  return isOwnToken(headers.authorization) || !wantsHtml(headers)
}

/** Values of WWW-Authenticate. */
export const challengesTo = ({ headers }: Asking, { origin }: Pick<GuardedApplication, 'origin'>): string[] => {
  const realm = `realm="${origin}"`
  // RFC 6750 section 3.1: no error is named to who brought no token.
  const bearer = `Bearer ${realm}${isScheme('bearer', headers) ? ', error="invalid_token"' : ''}`
  return isScheme('basic', headers) && !mayBeBrowser(headers) ? [bearer, `Basic ${realm}, charset="UTF-8"`] : [bearer]
}

const isScheme = (scheme: 'bearer' | 'basic', { authorization = '' }: Asking['headers']): boolean =>
  authorization.split(' ', 1)[0]?.toLowerCase() === scheme

const wantsHtml = ({ accept = '' }: Asking['headers']): boolean => accept.includes('text/html')

/** Browsers say how they fetch only where the connection is safe. */
const mayBeBrowser = (headers: Asking['headers']): boolean =>
  wantsHtml(headers) || ['sec-fetch-mode', 'x-requested-with', 'origin', 'referer'].some((name) => headers[name] !== undefined)

import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody, replayBody } from '../body.ts'
import { authorization } from './authorization.ts'
import { authorization_code } from './authorization_code.ts'
import { client_credentials } from './client_credentials.ts'
import { introspection } from './introspection.ts'
import { isPlain, type Quick, type QuickDeps, readForm } from './quick.ts'
import { refresh_token } from './refresh_token.ts'
import { userinfo } from './userinfo.ts'

/** By the grant's own name. */
export const grants: Record<string, Quick> = { authorization_code, client_credentials, refresh_token }

/** Larger bodies than this the library may read by itself. */
const largestBody = 8 * 1024

/** Tries the quick way; true when it answered. What it has read of the body can be read again. */
export const tryQuick = (deps: QuickDeps, request: IncomingMessage, response: ServerResponse): boolean | Promise<boolean> => {
  const { url = '/', method } = request
  if (!isPlain(request)) return false
  if (method === 'GET') {
    if (url === '/oauth2/userinfo') return userinfo(deps, { request, response, form: new Map() })
    if (!url.startsWith('/oauth2/authorize?')) return false
    const form = readForm(url.slice('/oauth2/authorize?'.length))
    return form ? authorization(deps, { request, response, form }) : false
  }
  if (method !== 'POST' || (url !== '/oauth2/token' && url !== '/oauth2/introspect')) return false
  if (!/^application\/x-www-form-urlencoded(; ?charset=utf-8)?$/i.test(request.headers['content-type'] ?? '')) return false
  const length = Number(request.headers['content-length'])
  if (!Number.isInteger(length) || length > largestBody) return false
  return tryPost(deps, request, response, url)
}

const tryPost = async (deps: QuickDeps, request: IncomingMessage, response: ServerResponse, url: string): Promise<boolean> => {
  const body = await readBody(request, largestBody)
  // It broke off: nobody is there to be answered.
  if (body === undefined) return true
  const form = readForm(body.toString('utf8'))
  const quick = url === '/oauth2/introspect' ? introspection : grants[form?.get('grant_type') ?? '']
  if (form && quick && (await quick(deps, { request, response, form }))) return true
  replayBody(request, body)
  return false
}

import type { IncomingMessage } from 'node:http'
import type { Client } from 'oidc-provider'
import { factsOf, matches } from '../clients.ts'
import type { Form, QuickDeps } from './quick.ts'

/** What every endpoint takes with a client that proves itself by its secret. */
export const clientParameters = ['client_id', 'client_secret'] as const

/**
 * The client, when it has proven itself with its secret in the header or in the body (RFC 6749 section 2.3.1), and nothing about it is out of the
 * ordinary: no profile, no bound tokens.
 */
export const provenClient = (deps: QuickDeps, request: IncomingMessage, form: Form): Client | undefined => {
  const { authorization } = request.headers
  const inBody = form.get('client_secret')
  let id = form.get('client_id')
  let secret: string | undefined
  if (authorization === undefined) secret = inBody
  else {
    if (inBody !== undefined) return undefined
    const basic = readBasic(authorization)
    if (!basic || (id !== undefined && id !== basic.id)) return undefined
    ;({ id, secret } = basic)
  }
  if (id === undefined || secret === undefined) return undefined
  const client = deps.ready(id)
  if (!client) return undefined
  const method = client.tokenEndpointAuthMethod
  if (method !== 'client_secret_basic' && method !== 'client_secret_post') return undefined
  const facts = factsOf(client)
  if (
    facts.secretMethod !== undefined &&
    facts.secretMethod !== (authorization === undefined ? 'client_secret_post' : 'client_secret_basic')
  )
    return undefined
  if (!matches(facts, secret, deps.clock())) return undefined
  return isOrdinary(client) ? client : undefined
}

export const isOrdinary = (client: Client): boolean =>
  factsOf(client).policy.profile === undefined &&
  factsOf(client).policy.acr === '1fa' &&
  !client.dpopBoundAccessTokens &&
  !client.tlsClientCertificateBoundAccessTokens &&
  client.subjectType !== 'pairwise'

const readBasic = (authorization: string): { id: string; secret: string } | undefined => {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(authorization)?.[1]
  if (encoded === undefined || encoded.length % 4 !== 0) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const at = text.indexOf(':')
  // Escapes are the library's business.
  if (at < 1 || /[%+]|[^ -~]/.test(text)) return undefined
  return { id: text.slice(0, at), secret: text.slice(at + 1) }
}

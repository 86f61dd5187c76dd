/** Names of headers that tell an application who someone is: which may be stated, and how others read them. */

/** As gateways to programs read names: everything that is neither a letter nor a digit becomes one and the same character. */
export const asRead = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

/** Of one connection, not of the message (RFC 9110 section 7.6.1). */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** What only a proxy may say: who is calling, for what address, with which certificate. Of names as they are read. */
export const saidByProxies =
  /^(?:forwarded|proxy|x-request-id|x-forwarded-.*|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip|x-cluster-client-ip|x-original-.*|x-rewrite-.*|x-override-.*|x-http-host-override|x-host|via|x-envoy-.*|ssl-client-.*|x-ssl-.*|x-client-cert.*|client-cert.*|x-tls-client-.*)$/

/** What has a meaning of its own, in a request or in the answer that a proxy copies from (RFC 9110), or is told already. */
const taken =
  /^(?:host|expect|cookie2?|set-cookie2?|authorization|authentication-.*|www-authenticate|proxy-.*|content-.*|accept|accept-.*|access-control-.*|sec-.*|if-.*|range|origin|referer|user-agent|max-forwards|priority|date|age|cache-control|pragma|expires|etag|last-modified|vary|allow|location|refresh|retry-after|server|status|link|alt-svc|strict-transport-security|x-accel-.*|x-sendfile|x-http-method.*|x-method-override|x-requested-with|x-signet|x-signet-.*|remote-.*)$/

/** RFC 9110 section 5.6.2, of which the first is a letter. */
const token = /^[A-Za-z][!#$%&'*+.^_`|~0-9A-Za-z-]*$/

/** Why a header may not be stated; undefined when it may. */
export const headerNameProblem = (name: string): string | undefined => {
  if (!token.test(name)) return 'wants the name of a header, such as X-Department'
  const read = asRead(name)
  return hopByHop.has(read) || saidByProxies.test(read) || taken.test(read) ? 'has a meaning already' : undefined
}

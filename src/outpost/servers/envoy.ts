import { type ForwardServer, only, onlyOr, schemeOf } from './server.ts'

/** `ext_authz` with `path_prefix`: the request itself, below the endpoint's path and without its body. */
export const envoy: ForwardServer = {
  redirects: true,
  original: (headers, rest, method) => {
    const host = only(headers.host)
    const scheme = schemeOf(onlyOr(headers['x-forwarded-proto'], 'http'))
    return host && scheme && rest.startsWith('/') ? { scheme, host, target: rest, method } : undefined
  },
}

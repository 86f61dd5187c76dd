import { type ForwardServer, only } from './server.ts'

/** `ext_authz` with `path_prefix`: the request itself, below the endpoint's path and without its body. */
export const envoy: ForwardServer = {
  redirects: true,
  original: (headers, rest, method) => {
    const host = only(headers.host)
    return host && rest.startsWith('/') ? { scheme: only(headers['x-forwarded-proto']) ?? 'http', host, target: rest, method } : undefined
  },
}

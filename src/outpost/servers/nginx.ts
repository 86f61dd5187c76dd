import { type ForwardServer, onlyOr, onlyUrl } from './server.ts'

/** `auth_request`: 401 becomes a redirect by `error_page`, since nginx takes no other answer from here. Ingresses made of it ask the same way. */
export const nginx: ForwardServer = {
  redirects: false,
  original: (headers, _, asked) => {
    const [, scheme, host, target] = /^(https?):\/\/([^/?#\s]+)(\/[^\s]*)$/i.exec(onlyUrl(headers['x-original-url']) ?? '') ?? []
    const method = onlyOr(headers['x-original-method'], asked)
    return scheme && host && target && method ? { scheme: scheme.toLowerCase(), host, target, method } : undefined
  },
}

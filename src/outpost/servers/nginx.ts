import { type ForwardServer, only, onlyUrl } from './server.ts'

/** `auth_request`: 401 becomes a redirect by `error_page`, since nginx takes no other answer from here. */
export const nginx: ForwardServer = {
  redirects: false,
  original: (headers, _, method) => {
    const [, scheme, host, target] = /^(https?):\/\/([^/?#\s]+)(\/[^\s]*)$/i.exec(onlyUrl(headers['x-original-url']) ?? '') ?? []
    return scheme && host && target
      ? { scheme: scheme.toLowerCase(), host, target, method: only(headers['x-original-method']) ?? method }
      : undefined
  },
}

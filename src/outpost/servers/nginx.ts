import { parseHost } from '../address.ts'
import { type ForwardServer, methodOf, only, onlyUrl } from './server.ts'

/**
 * `auth_request`: 401 becomes a redirect by `error_page`, since nginx takes no other answer from here. Ingresses made of it ask the same way.
 *
 * Of a request whose target names another host than its Host header, nginx chooses the server by the target (`$host`), and `$http_host` is the
 * header: an application could be asked about and another one answer. So both are told, and have to be the same.
 */
export const nginx: ForwardServer = {
  redirects: false,
  original: (headers, _, asked) => {
    const [, scheme, host, target] = /^(https?):\/\/([^/?#\s]+)(\/[^\s]*)$/i.exec(onlyUrl(headers['x-original-url']) ?? '') ?? []
    const method = methodOf(headers['x-original-method'], asked)
    if (!scheme || !host || !target || !method) return undefined
    const chosen = headers['x-original-host']
    if (chosen !== undefined && nameOf(only(chosen)) !== nameOf(host)) return undefined
    return { scheme: scheme.toLowerCase(), host, target, ...method }
  },
}

/** Without the port. */
const nameOf = (host: string | undefined): string | undefined => parseHost(host, 'http')?.replace(/:\d+$/, '')

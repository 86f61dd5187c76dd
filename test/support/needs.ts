/**
 * Foreign programs that a suite drives. `describe('…', needs('chromium'), …)` skips the suite where one is missing and says which
 * package to install; with `CI=true` a missing program is a failure.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

interface Requirement {
  /** Package of Debian. */
  package: string
  isThere: () => boolean
}

/** Programs for the system stand in sbin, which is not on everyone's PATH. */
const folders = () => [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']

/** Path of a program, undefined when this machine has none. */
export const findProgram = (...names: string[]): string | undefined => {
  for (const name of names)
    for (const folder of folders()) {
      const path = join(folder, name)
      try {
        accessSync(path, constants.X_OK)
        return path
      } catch {
        // Not here.
      }
    }
  return undefined
}

export const requirements = {
  chromium: { package: 'chromium', isThere: () => findProgram('chromium', 'chromium-browser', 'google-chrome') !== undefined },
  apache2: { package: 'apache2', isThere: () => findProgram('apache2') !== undefined },
  mod_auth_openidc: {
    package: 'libapache2-mod-auth-openidc',
    isThere: () => existsSync('/usr/lib/apache2/modules/mod_auth_openidc.so'),
  },
  nginx: { package: 'nginx', isThere: () => findProgram('nginx') !== undefined },
  caddy: { package: 'caddy', isThere: () => findProgram('caddy') !== undefined },
  redis: { package: 'redis-server', isThere: () => findProgram('redis-server') !== undefined },
  curl: { package: 'curl', isThere: () => findProgram('curl') !== undefined },
  haproxy: { package: 'haproxy', isThere: () => findProgram('haproxy') !== undefined },
} satisfies Record<string, Requirement>

export const needs = (...names: (keyof typeof requirements)[]): { skip?: string } => {
  const missing = names.filter((name) => !requirements[name].isThere()).map((name) => requirements[name].package)
  if (missing.length === 0) return {}
  const reason = `needs: apt-get install ${missing.join(' ')}`
  if (process.env.CI === 'true') throw new Error(reason)
  return { skip: reason }
}

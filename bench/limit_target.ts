/** limit.ts as a process of its own, and as a target: it knows one client, and sessions and tokens with names that can be guessed. */
import { startProgram } from './program.ts'
import type { Target } from './target.ts'

const seeded = 64

export const startLimit = async (databaseUrl: string, upstream: string): Promise<{ target: Target; stop: () => Promise<void> }> => {
  const program = startProgram(['bench/limit.ts', databaseUrl, String(seeded), upstream])
  const origin = `http://127.0.0.1:${await program.firstLine()}`
  const target: Target = {
    name: 'limit',
    origin,
    endpoints: { authorization: '/authorize', token: '/token', introspection: '/introspect', userinfo: '/userinfo' },
    client: { id: 'bench', secret: 'bench-secret', redirectUri: 'http://127.0.0.1:9/callback' },
    session: async (worker) => `session=session-${worker}`,
    accessToken: async (worker) => `access-${worker}`,
    refreshToken: async (worker) => `refresh-${worker}`,
    tokenToIntrospect: async (worker) => `access-${worker}`,
  }
  return { target, stop: program.stop }
}

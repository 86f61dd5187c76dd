/** Connections to applications, kept by what they depend on, so that a change of settings takes new ones. */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { GuardedApplication } from './core.ts'

const connectionsPerApplication = 1_024
const idleConnections = 32

export const openUpstreamAgents = () => {
  const agents = new Map<string, { settings: string; agent: HttpAgent | HttpsAgent }>()

  /** Those in use are finished first. */
  const retire = (agent: HttpAgent | HttpsAgent): void => {
    agent.maxFreeSockets = 0
    for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
  }

  return {
    of: ({ key, upstreamUrl, upstream: { tls } }: Pick<GuardedApplication, 'key' | 'upstreamUrl' | 'upstream'>): HttpAgent | HttpsAgent => {
      const settings = JSON.stringify([upstreamUrl, tls])
      const known = agents.get(key)
      if (known?.settings === settings) return known.agent
      if (known) retire(known.agent)
      const options = { keepAlive: true, maxSockets: connectionsPerApplication, maxFreeSockets: idleConnections }
      const agent = upstreamUrl?.startsWith('https:')
        ? new HttpsAgent({
            ...options,
            rejectUnauthorized: tls?.insecureSkipVerify !== true,
            ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
          })
        : new HttpAgent(options)
      agents.set(key, { settings, agent })
      return agent
    },
    close: () => {
      for (const { agent } of agents.values()) agent.destroy()
    },
  }
}

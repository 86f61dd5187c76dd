import { caddy } from './caddy.ts'
import { envoy } from './envoy.ts'
import { nginx } from './nginx.ts'
import type { ForwardServer } from './server.ts'
import { traefik } from './traefik.ts'

/** By the last segment of `/outpost.signet/auth/…`. */
export const servers: Readonly<Record<string, ForwardServer>> = { nginx, traefik, caddy, envoy }

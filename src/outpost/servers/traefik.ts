import { type ForwardServer, fromForwardedHeaders } from './server.ts'

/** `forwardAuth` */
export const traefik: ForwardServer = fromForwardedHeaders

import { type ForwardServer, fromForwardedHeaders } from './server.ts'

/** `forward_auth` */
export const caddy: ForwardServer = fromForwardedHeaders

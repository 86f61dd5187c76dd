/**
 * How long a body may take to come. Bodies meant for us are small; one that goes on to an application may be large and slow, and whoever hands
 * it on lifts the bound. So a request that nobody reads, or that was refused, does not keep its connection for ever.
 */
import type { IncomingMessage } from 'node:http'

const usualMs = 60_000

const bounds = new WeakMap<IncomingMessage, NodeJS.Timeout>()

/** Whether the headers announce a body. */
export const hasBody = ({ headers }: Pick<IncomingMessage, 'headers'>): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** Cuts the connection when the body is not there in time, be it answered or not. */
export const boundBody = (request: IncomingMessage, withinMs = usualMs): void => {
  if (request.complete || !hasBody(request)) return
  clearTimeout(bounds.get(request))
  const late = setTimeout(() => {
    if (!request.complete) request.destroy()
  }, withinMs)
  bounds.set(request, late)
  const done = () => clearTimeout(late)
  request.once('end', done)
  request.once('close', done)
}

/** The body may take as long as someone reads it. */
export const liftBodyBound = (request: IncomingMessage): void => {
  clearTimeout(bounds.get(request))
  bounds.delete(request)
}

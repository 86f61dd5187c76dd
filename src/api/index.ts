/** Our REST as one Fastify plugin. Who calls, content types, sizes and refusals are settled here once, for every endpoint. */
import type { FastifyPluginAsync } from 'fastify'
import { apply } from './apply.ts'
import { openAuthenticator } from './authenticate.ts'
import { client_credentials } from './client_credentials.ts'
import type { ApiDeps } from './deps.ts'
import { addEndpoint, type Endpoint } from './endpoint.ts'
import { events } from './events.ts'
import { explain } from './explain.ts'
import { exporting } from './export.ts'
import { flow_attempts } from './flow_attempts.ts'
import { flow_trial } from './flow_trial.ts'
import { flows } from './flows.ts'
import { groups } from './groups.ts'
import { invitations } from './invitations.ts'
import { me } from './me.ts'
import { methodsAt } from './methods.ts'
import { openapi } from './openapi.ts'
import { outpost_stream } from './outpost_stream.ts'
import { outposts } from './outposts.ts'
import { handleProblems } from './problem.ts'
import { resources } from './resources.ts'
import { tokens } from './tokens.ts'
import { users } from './users.ts'

export type { ApiDeps } from './deps.ts'

/** Every endpoint, in the order in which the reference shows them. What has an address of its own stands before `resources`. */
export const endpoints = (deps: ApiDeps): Endpoint[] => {
  const all = [
    apply,
    exporting,
    explain,
    resources,
    client_credentials,
    users,
    me,
    groups,
    invitations,
    flow_trial,
    flow_attempts,
    outposts,
    outpost_stream,
    tokens,
    events,
  ].flatMap((group) => group(deps))
  return [...all, ...openapi(all)]
}

const pathBelow = (url: string, prefix: string): string => (url.split('?', 1)[0] ?? '').slice(prefix.length)

/** To be registered with the prefix `/api`. */
export const buildApi =
  (deps: ApiDeps): FastifyPluginAsync =>
  async (app) => {
    const served = endpoints(deps)
    const known = [...served, ...flows]
    handleProblems(app, deps.log, (url) => methodsAt(known, pathBelow(url, app.prefix)))
    // Bodies arrive as bytes; each endpoint says which content types it understands.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    const authenticate = openAuthenticator(deps)
    for (const endpoint of served) addEndpoint(app, { ...deps, authenticate }, endpoint)
  }

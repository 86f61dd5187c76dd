/**
 * The portal: what a person sees of themselves. Server-rendered, no script; each post is answered by a redirect to the page it came from,
 * which says what was done.
 */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { flowFor } from '#/flow/flows.ts'
import type { PageName, PageVariables } from '#/flow/page_variables.ts'
import { canSend } from '#/identity/mail.ts'
import { isFresh } from '#/identity/sessions.ts'
import type { Designation } from '#/kinds/flow.ts'
import type { FactorType } from '#/kinds/flow_stages.ts'
import { readLocales } from '#/lib/catalogue.ts'
import { formLimit, parseForm } from '#/lib/form.ts'
import { getCaller } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { toProblem } from '#/lib/problem_document.ts'
import { logProblem, setRetryAfter } from '#/lib/problem_reply.ts'
import { listApplications } from '#/resources/applications.ts'
import { passwordRulesOf } from '#/resources/password_rules.ts'
import { postEmail, shownEmail } from './account_email.ts'
import { changePassword } from './account_password.ts'
import { listShownConsents, withdrawConsent } from './consents.ts'
import type { PortalDeps } from './deps.ts'
import { listShownFactors, withdrawFactor } from './factors.ts'
import { checkPost, findPerson, type Person } from './person.ts'
import { endSessions, listShownSessions } from './sessions.ts'

/** What a post has done, to be said by the page it leads back to. */
const notices = [
  'session_ended',
  'sessions_ended',
  'consent_withdrawn',
  'password_changed',
  'factor_removed',
  'device_forgotten',
  'email_asked',
  'email_agreed',
  'email_changed',
  'email_withdrawn',
] as const
export type Notice = (typeof notices)[number]
const isNotice = (text: unknown): text is Notice => (notices as readonly unknown[]).includes(text)

export const portalRoutes =
  (deps: PortalDeps): FastifyPluginAsync =>
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: formLimit },
      async (_: unknown, body: unknown) => parseForm(String(body)),
    )

    const show = <Name extends PageName>(
      request: FastifyRequest,
      reply: FastifyReply,
      person: Person,
      { name, variables, pictures = [] }: { name: Name; variables: Omit<PageVariables[Name], keyof Frame>; pictures?: string[] },
    ) => {
      const { user } = person.session
      const { notice } = request.query as Record<string, unknown>
      const { pathPrefix, displayName: product } = person.authServer
      const frame: Frame = {
        person: { username: user.username, name: user.name ?? user.username },
        token: person.token,
        sign_out: `${pathOf(person.authServer, 'invalidation')}?next=${pathPrefix}/signed_out`,
        ...(isNotice(notice) ? { notice: `notice.${notice}` } : {}),
      }
      // A page of the portal is its own variables and the frame.
      const all = { ...frame, ...variables } as unknown as PageVariables[Name]
      const address = `${pathPrefix}${request.url.split('?')[0]}`
      const page = deps.pages.render(name, all, { locales: person.locales, pathPrefix, product, address, pictures, formsStayHere: true })
      return reply.headers(page.headers).send(page.html)
    }

    /** Of the flow that the AuthServer names, which may ask for more than ours. */
    const pathOf = (authServer: Person['authServer'], designation: Designation) =>
      `${authServer.pathPrefix}/flow/${flowFor(deps.snapshot, authServer, designation)}`
    /** `wanted`: what else the sign-in is to be. */
    const signInFor = (authServer: Person['authServer'], path: string, wanted = '') =>
      `${pathOf(authServer, 'authentication')}?${wanted}next=${encodeURIComponent(`${authServer.pathPrefix}${path}`)}`
    const signInFirst = (reply: FastifyReply, authServer: Person['authServer'], path: string, wanted = '') =>
      reply.header('cache-control', 'no-store').redirect(signInFor(authServer, path, wanted), 303)

    /** Who is not signed in is sent to do so, and comes back. */
    const page = (path: string, handle: (person: Person, request: FastifyRequest, reply: FastifyReply, now: Date) => Promise<unknown>) => {
      app.get(path, async (request, reply) => {
        const now = deps.clock()
        const person = await findPerson(deps.db, request, now)
        if (person) return handle(person, request, reply, now)
        return signInFirst(reply, getCaller(request.raw).authServer, request.url)
      })
    }

    type Handling = { person: Person; body: Readonly<Record<string, string>>; request: FastifyRequest; reply: FastifyReply; now: Date }
    const post = (path: string, handle: (handling: Handling) => Promise<Notice | undefined>) => {
      app.post(path, async (request, reply) => {
        const now = deps.clock()
        const person = await findPerson(deps.db, request, now)
        if (!person) throw new Problem('unauthenticated')
        const body = (request.body ?? {}) as Record<string, string>
        checkPost(person, request, body)
        const notice = await handle({ person, body, request, reply, now })
        if (notice)
          return reply.header('cache-control', 'no-store').redirect(`${person.authServer.pathPrefix}${path}?notice=${notice}`, 303)
      })
    }

    page('/', async (person, request, reply) => {
      const applications = await listApplications(deps, { ...person, user: person.session.user })
      const pictures = applications.flatMap(({ icon }) => icon ?? [])
      return show(request, reply, person, { name: 'applications', variables: { applications }, pictures })
    })

    page('/account', async (person, request, reply) => {
      const { user, auth_time } = person.session
      const close = pathOf(person.authServer, 'unenrollment')
      const variables = {
        groups: user.groups,
        signedInAt: new Date(auth_time * 1_000),
        close,
        ...(user.email ? { email: user.email } : {}),
      }
      return show(request, reply, person, { name: 'account', variables })
    })

    page('/account/export', async (person, _request, reply, now) => {
      // The file comes to the page that the person is at, so they come back to it first.
      if (!isFresh(person.session, now)) return signInFirst(reply, person.authServer, '/account', wantsSecondFactor)
      return reply.header('cache-control', 'no-store').redirect(`${person.authServer.pathPrefix}/api/v1/me/export`, 303)
    })

    page('/account/sessions', async (person, request, reply, now) => {
      const { cursor } = request.query as Record<string, unknown>
      const variables = await listShownSessions(deps, person, typeof cursor === 'string' ? cursor : undefined, now)
      return show(request, reply, person, { name: 'account_sessions', variables })
    })
    post('/account/sessions', ({ person, body, now }) => endSessions(deps, person, body, now))

    page('/account/consents', async (person, request, reply) =>
      show(request, reply, person, { name: 'account_consents', variables: { consents: await listShownConsents(deps, person) } }),
    )
    post('/account/consents', ({ person, body, now }) => withdrawConsent(deps, person, body, now))

    const passwordForm = ({ authServer }: Person, mistakes: { field: string; text: string }[]) => ({
      mistakes,
      min_length: passwordRulesOf(deps.snapshot, authServer).minLength,
    })
    page('/account/factors', async (person, request, reply) => {
      const { factors } = await listShownFactors(deps, person)
      const kinds = offeredFactors.filter((type) => type !== 'email' || (canSend(deps.settings) && person.session.user.email !== null))
      return show(request, reply, person, { name: 'account_factors', variables: { factors, kinds } })
    })
    post('/account/factors', async ({ person, body, reply, now }) => {
      if (isFresh(person.session, now)) return withdrawFactor(deps, person, body, now)
      signInFirst(reply, person.authServer, '/account/factors', wantsSecondFactor)
      return undefined
    })

    const showEmail = async (
      { person, request, reply, now }: Omit<Handling, 'body'>,
      wrong: { mistakes: { field: string; text: string }[]; value?: string } = { mistakes: [] },
    ) => {
      const variables = {
        ...(await shownEmail(deps, person, now)),
        ...wrong,
        sign_in: signInFor(person.authServer, '/account/email', wantsSecondFactor),
      }
      return show(request, reply, person, { name: 'account_email', variables })
    }
    page('/account/email', (person, request, reply, now) => showEmail({ person, request, reply, now }))
    post('/account/email', async ({ person, body, request, reply, now }) => {
      const posted = await postEmail(deps, person, body, now)
      if (posted.kind === 'done') return posted.notice
      if (posted.kind === 'sign_in_first') {
        signInFirst(reply, person.authServer, '/account/email', wantsSecondFactor)
        return undefined
      }
      const { status, field, key, value, retryAfter } = posted
      reply.code(status)
      if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
      const mistakes = [{ field, text: deps.pages.text(person.locales, key) }]
      await showEmail({ person, request, reply, now }, { mistakes, ...(value === undefined ? {} : { value }) })
      return undefined
    })

    page('/account/password', async (person, request, reply) =>
      show(request, reply, person, { name: 'account_password', variables: passwordForm(person, []) }),
    )
    post('/account/password', async ({ person, body, request, reply, now }) => {
      const changed = await changePassword(deps, person, body, now)
      if (changed.kind === 'changed') return 'password_changed'
      if (changed.retryAfter !== undefined) reply.header('retry-after', String(changed.retryAfter))
      reply.code(changed.retryAfter === undefined ? 400 : 429)
      const mistakes = changed.mistakes.map(({ field, key, values }) => ({ field, text: deps.pages.text(person.locales, key, values) }))
      show(request, reply, person, { name: 'account_password', variables: passwordForm(person, mistakes) })
      return undefined
    })

    app.get('/signed_out', (request, reply) => {
      const { authServer } = getCaller(request.raw)
      const page = deps.pages.render(
        'logged_out',
        {},
        { locales: localesOf(request), pathPrefix: authServer.pathPrefix, formsStayHere: true },
      )
      return reply.headers(page.headers).send(page.html)
    })

    app.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error)
      logProblem(deps.log, 'portal.request.failed', request, problem)
      setRetryAfter(reply, problem)
      const { requestId, authServer } = getCaller(request.raw)
      const options = { locales: localesOf(request), pathPrefix: authServer.pathPrefix, product: authServer.displayName }
      const retry = `${authServer.pathPrefix}${request.url.split('?')[0]}`
      const page =
        problem.code === 'unavailable'
          ? deps.pages.render('busy', { retry }, options)
          : deps.pages.render('error', { error: problem.code, request_id: requestId, retry }, options)
      return reply.code(problem.status).headers(page.headers).send(page.html)
    })
  }

/** Of whoever has one, on a remembered device too. */
const wantsSecondFactor = 'acr_values=2fa&'

/** The best first. */
const offeredFactors: readonly FactorType[] = ['webauthn', 'totp', 'static', 'email']

/** On every page of the portal. */
type Frame = Pick<PageVariables['account'], 'person' | 'token' | 'sign_out' | 'notice'>

const localesOf = (request: FastifyRequest): string[] =>
  readLocales({ cookies: request.headers.cookie, acceptLanguage: request.headers['accept-language'] })

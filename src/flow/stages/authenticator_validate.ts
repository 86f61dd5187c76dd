/**
 * Asks for a second factor: a passkey, or a code, of whatever kind the person has one of. One field takes them all, so that nobody has to know
 * what their code is called. A code by mail is sent when it is asked for, or at once to whoever has nothing else.
 */
import { findFactors } from '#/identity/authenticators.ts'
import type { Begun, Proof } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { canSend, queueMail } from '#/identity/mail.ts'
import { findUser, type User } from '#/identity/users.ts'
import type { FactorType } from '#/kinds/flow_stages.ts'
import { acrOf, hasProven, meetsAcr, withMfa } from '#/policy/acr.ts'
import { factorDepsOf } from '../factor_deps.ts'
import { addFailure, codeCounters, findLockOut } from '../failures.ts'
import { type Answer, type Ask, type FlowDeps, lockedOut, type Stage, type StageInput, textIn } from '../stage.ts'
import { credentialIn } from './identification.ts'

interface Kept {
  /** What the person may prove, of what they have. */
  types: FactorType[]
  passkey?: { kept: string; options: object }
  email?: { kept: string; sentTo: string }
}

export const authenticator_validate: Stage = {
  challenge: async (deps, input) => {
    const { facts, context, settings } = input
    const { amr = [], factors: proven = [], user_id } = facts
    if (user_id === undefined) return { kind: 'denied', reason: 'access_denied' }
    const wanted = context.acr_values ?? []
    // What a client wishes for adds to what is asked: `1fa` spares nobody who has a second factor.
    const { required_factors: required } = context
    const isRight = required === undefined || hasProven(required, proven)
    const isEnough = acrOf(amr) !== '1fa' && isRight && (wanted.length === 0 || meetsAcr(acrOf(amr), wanted))
    if (isEnough) return { kind: 'passed', facts: {} }
    const known = keptOf(input)
    if (known) return { kind: 'ask', ask: askWith(known) }
    const allowed = (settings.types as FactorType[]).filter((type) => required?.includes(type) ?? true)
    const { types: has } = await findFactors(deps.db, user_id)
    const types = has.filter((type) => allowed.includes(type))
    if (types.length === 0)
      return settings.whenNone === 'deny' || has.length > 0 ? { kind: 'denied', reason: 'factor_missing' } : { kind: 'passed', facts: {} }
    const user = await findUser(deps.db, user_id)
    if (!user?.active) return { kind: 'denied', reason: 'access_denied' }
    const kept: Kept = { types }
    if (types.includes('webauthn')) {
      const begun = await factors.webauthn.ask(factorDepsOf(deps, input.request), user, input.now)
      kept.passkey = { kept: begun.kept, options: begun.passkey ?? {} }
    }
    if (types.every((type) => type === 'email')) kept.email = await mail(deps, input, user)
    return { kind: 'ask', ask: askWith(kept), keep: { ...kept } }
  },

  answer: async (deps, input, answer) => {
    const { facts, request, now } = input
    const kept = keptOf(input)
    const user = facts.user_id === undefined ? undefined : await findUser(deps.db, facts.user_id)
    if (!kept || !user?.active) return { kind: 'denied', reason: 'access_denied' }
    if (textIn(answer, 'method') === 'email' && kept.types.includes('email')) {
      const next = { ...kept, email: await mail(deps, input, user) }
      return { kind: 'ask', ask: askWith(next), keep: next }
    }
    const counters = codeCounters({ account: user.id, network: request.network })
    const before = await findLockOut(deps.db, counters, now)
    if (before !== undefined) return lockedOut(askWith(kept, 'mistake.locked_out'), before)
    if (credentialIn(answer) === undefined && textIn(answer, 'code').trim() === '')
      return { kind: 'failed', reason: 'InvalidAnswer', ask: askWith(kept, 'mistake.code_required') }
    const proof = await prove(deps, input, { user, kept, answer })
    if (!proof) {
      await addFailure(deps.db, counters, now)
      return { kind: 'failed', reason: 'InvalidCredentials', ask: askWith(kept, 'mistake.code') }
    }
    const after = await findLockOut(deps.db, counters, now)
    if (after !== undefined) return lockedOut(askWith(kept, 'mistake.locked_out'), after)
    const amr = withMfa([...(facts.amr ?? []), ...proof.amr])
    const proven = [...new Set([...(facts.factors ?? []), proof.type])]
    return { kind: 'passed', facts: { amr, factors: proven, auth_time: Math.floor(now.getTime() / 1_000) } }
  },
}

/** Absent before the stage has asked. */
const keptOf = ({ kept }: StageInput): Kept | undefined => (Array.isArray(kept.types) ? (kept as unknown as Kept) : undefined)

const prove = async (
  deps: FlowDeps,
  { request, now }: StageInput,
  { user, kept, answer }: { user: User; kept: Kept; answer: Answer },
): Promise<Proof | undefined> => {
  const factorDeps = factorDepsOf(deps, request)
  const credential = credentialIn(answer)
  if (credential !== undefined) {
    if (!kept.passkey) return undefined
    const proof = await factors.webauthn.verify(factorDeps, user, { kept: kept.passkey.kept, credential }, now)
    return proof.kind === 'proven' ? proof : undefined
  }
  const code = textIn(answer, 'code').slice(0, 100)
  for (const type of ['totp', 'email', 'static'] as const) {
    if (!kept.types.includes(type) || (type === 'email' && !kept.email)) continue
    const proof = await factors[type].verify(factorDeps, user, { kept: kept.email?.kept ?? '', code }, now)
    if (proof.kind === 'proven') return proof
  }
  return undefined
}

const mail = async (deps: FlowDeps, { request, now }: StageInput, user: User): Promise<{ kept: string; sentTo: string }> => {
  const begun: Begun = await factors.email.ask(factorDepsOf(deps, request), user, now)
  if (begun.mail && canSend(deps.settings)) {
    const { address, code, expiresAt } = begun.mail
    await queueMail(
      deps.db,
      {
        to: address,
        template: 'email_code',
        locale: user.locale ?? request.locales[0] ?? null,
        user,
        product: request.authServer.displayName,
        variables: { code, expiresAt },
      },
      { ...deps, now },
    )
  }
  return { kept: begun.kept, sentTo: masked(user.email ?? '') }
}

/** `a…@example.com`: enough for its owner to know which one. */
export const masked = (address: string): string => address.replace(/^(.)[^@]*/, '$1…')

const askWith = ({ types, passkey, email }: Kept, mistake?: string): Ask => {
  const takesCode = types.some((type) => type !== 'webauthn' && (type !== 'email' || email))
  return {
    fields: takesCode ? [{ name: 'code', type: 'text', required: passkey === undefined, autocomplete: 'one-time-code' }] : [],
    mistakes: mistake ? [{ field: 'code', detail: mistake }] : [],
    more: {
      ...(passkey ? { passkey: passkey.options as Record<string, unknown> } : {}),
      ...(email ? { sentTo: email.sentTo } : {}),
      ...(types.includes('email') && !email ? { methods: ['email'] } : {}),
    },
  }
}

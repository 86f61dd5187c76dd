/**
 * Asks for a second factor: a passkey, or a code, of whatever kind the person has one of. One field takes them all, so that nobody has to know
 * what their code is called. A code by mail is sent when it is asked for, or at once to whoever has nothing else.
 */
import { findFactors } from '#/identity/authenticators.ts'
import type { Begun, Proof } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { findPasskeyMethod } from '#/identity/factors/webauthn.ts'
import { canSend, queueMail } from '#/identity/mail.ts'
import { isRemembered } from '#/identity/remembered_devices.ts'
import { findUser, type User } from '#/identity/users.ts'
import type { FactorType } from '#/kinds/flow_stages.ts'
import { acrOf, hasProven, meetsAcr, withMfa } from '#/policy/acr.ts'
import { factorDepsOf } from '../factor_deps.ts'
import { addFailure, codeCounters, findLockOut } from '../failures.ts'
import { type Answer, type Ask, type Facts, type FlowDeps, lockedOut, type Outcome, type Stage, type StageInput, textIn } from '../stage.ts'
import { credentialIn } from './identification.ts'

interface Kept {
  /** What the person may prove, of what they have. */
  types: FactorType[]
  passkey?: { kept: string; options: object }
  email?: { kept: string; sentTo: string }
  /** Whether the person is offered to have the device remembered, and has ticked it. */
  remember?: { ticked: boolean }
}

export const authenticator_validate: Stage = {
  sends: true,
  challenge: async (deps, input) => {
    const known = keptOf(input)
    if (known && !isProven(input)) return { kind: 'ask', ask: askWith(known) }
    const wanted = await findWanted(deps, input)
    if (wanted.kind !== 'wanted') return wanted
    const { types, user } = wanted
    const remembering = rememberingOf(input)
    if (remembering?.token && (await isRemembered(deps.db, { ...remembering, factors: types }, input.now)))
      return { kind: 'passed', facts: { factor_spared: true } }
    const kept: Kept = { types, ...(remembering ? { remember: { ticked: false } } : {}) }
    if (types.includes('webauthn')) {
      const begun = await factors.webauthn.ask(factorDepsOf(deps, input.request), user, input.now)
      kept.passkey = { kept: begun.kept, options: begun.passkey ?? {} }
    }
    if (types.every((type) => type === 'email')) Object.assign(kept, await mail(deps, input, user))
    return { kind: 'ask', ask: askWith(kept), keep: { ...kept } }
  },

  answer: async (deps, input, answer) => {
    const { facts, request, now } = input
    const kept = withTick(keptOf(input), answer)
    const user = facts.user_id === undefined ? undefined : await findUser(deps.db, facts.user_id)
    if (!kept || !user?.active) return { kind: 'denied', reason: 'access_denied' }
    if ((textIn(answer, 'method') === 'email' || isStuck(kept)) && kept.types.includes('email')) {
      const next = { ...kept, ...(await mail(deps, input, user)) }
      return { kind: 'ask', ask: askWith(next), keep: next }
    }
    const counters = codeCounters({ account: user.id, network: request.network })
    const before = await findLockOut(deps.db, counters, now)
    if (before !== undefined) return lockedOut(askWith(kept, 'mistake.too_many_codes'), before)
    if (credentialIn(answer) === undefined && textIn(answer, 'code').trim() === '')
      return { kind: 'failed', reason: 'InvalidAnswer', ask: askWith(kept, 'mistake.code_required') }
    const proof = await prove(deps, input, { user, kept, answer })
    if (!proof) {
      await addFailure(deps.db, counters, now)
      return { kind: 'failed', reason: 'InvalidCredentials', ask: askWith(kept, 'mistake.code') }
    }
    const after = await findLockOut(deps.db, counters, now)
    if (after !== undefined) return lockedOut(askWith(kept, 'mistake.too_many_codes'), after)
    const remembered: Facts = kept.remember?.ticked ? { remember_device: proof.type } : {}
    return { kind: 'passed', facts: { ...provenBy(proof, input), ...remembered } }
  },

  foresee: async (deps, input, { factor }) => {
    const wanted = await findWanted(deps, input)
    if (wanted.kind !== 'wanted') return wanted
    const { types, user, recoveryCodesLeft } = wanted
    const key = types.includes('webauthn') ? await findPasskeyMethod(factorDepsOf(deps, input.request), user.id) : undefined
    const usable = types.filter((type) => {
      if (type === 'webauthn') return key !== undefined
      if (type === 'email') return user.email !== null && user.emailVerified && canSend(deps.settings)
      return type !== 'static' || recoveryCodesLeft > 0
    })
    const ask = askWith({ types, ...(key === undefined ? {} : { passkey: { kept: '', options: {} } }) })
    const taken = factor && usable.includes(factor) ? factor : usable[0]
    if (taken === undefined) return { kind: 'stuck', ask, reason: 'no_usable_factor' }
    const counters = codeCounters({ account: user.id, network: input.request.network })
    const locked = await findLockOut(deps.db, counters, input.now)
    if (locked !== undefined) return { kind: 'stuck', ask, reason: 'locked_out', retryAfter: locked }
    return {
      kind: 'asked',
      ask,
      factors: usable,
      facts: provenBy({ type: taken, amr: [taken === 'webauthn' && key ? key : 'otp'] }, input),
    }
  },
}

/** What a client wishes for adds to what is asked: `1fa` spares nobody who has a second factor. */
const isProven = ({
  facts: { amr = [], factors: proven = [] },
  context: { acr_values: wanted = [], required_factors },
}: StageInput): boolean =>
  acrOf(amr) !== '1fa' &&
  (required_factors === undefined || hasProven(required_factors, proven)) &&
  (wanted.length === 0 || meetsAcr(acrOf(amr), wanted))

type Wanted =
  | { kind: 'wanted'; user: User; types: FactorType[]; recoveryCodesLeft: number }
  | Extract<Outcome, { kind: 'passed' | 'denied' }>

/** Of what the person has, what may be proven here; or that nothing is asked. */
const findWanted = async (deps: FlowDeps, input: StageInput): Promise<Wanted> => {
  const { facts, context, settings } = input
  if (facts.user_id === undefined) return { kind: 'denied', reason: 'access_denied' }
  if (isProven(input)) return { kind: 'passed', facts: {} }
  const allowed = (settings.types as FactorType[]).filter((type) => context.required_factors?.includes(type) ?? true)
  const { types: has, recoveryCodesLeft } = await findFactors(deps.db, facts.user_id)
  const types = sendable(
    deps,
    has.filter((type) => allowed.includes(type)),
  )
  if (types.length === 0)
    return settings.whenNone === 'deny' || has.length > 0 ? { kind: 'denied', reason: 'factor_missing' } : { kind: 'passed', facts: {} }
  const user = await findUser(deps.db, facts.user_id)
  return user?.active ? { kind: 'wanted', user, types, recoveryCodesLeft } : { kind: 'denied', reason: 'access_denied' }
}

const provenBy = ({ type, amr }: Pick<Proof, 'type' | 'amr'>, { facts, now }: StageInput): Facts => ({
  amr: withMfa([...(facts.amr ?? []), ...amr]),
  factors: [...new Set([...(facts.factors ?? []), type])],
  factor_spared: false,
  auth_time: Math.floor(now.getTime() / 1_000),
})

/** Absent before the stage has asked. */
const keptOf = ({ kept }: StageInput): Kept | undefined => (Array.isArray(kept.types) ? (kept as unknown as Kept) : undefined)

/**
 * Which device may be known here. It stands for a factor beside a password that was proven right now, and only where nobody wishes for more: for a
 * client that asks what a sign-in is worth, or a policy, it would be worth nothing (RFC 8176, RFC 9470).
 */
const rememberingOf = ({ context, facts, request }: StageInput) => {
  const { remember_device: ttl, acr_values, required_factors } = context
  const { user_id, amr = [], from_session } = facts
  if (ttl === undefined || acr_values?.length || required_factors || from_session !== undefined) return undefined
  if (user_id === undefined || !amr.includes('pwd')) return undefined
  return { token: request.device ?? '', user_id, issuer: request.authServer.issuerUrl, ttl }
}

const withTick = (kept: Kept | undefined, { remember }: Answer): Kept | undefined =>
  kept?.remember ? { ...kept, remember: { ticked: remember === true || remember === 'true' } } : kept

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

/** Where no mail can be sent, whoever has something else is asked for that. */
const sendable = ({ settings }: FlowDeps, types: FactorType[]): FactorType[] =>
  canSend(settings) || types.every((type) => type === 'email') ? types : types.filter((type) => type !== 'email')

/** Nothing but codes by mail, and none was sent. */
const isStuck = ({ types, email }: Kept): boolean => !email && types.every((type) => type === 'email')

/** The code and its mail, or neither; nothing where no mail can be sent. */
const mail = async ({ db, ...deps }: FlowDeps, { request, now }: StageInput, user: User): Promise<Pick<Kept, 'email'>> => {
  if (!canSend(deps.settings)) return {}
  return db.transaction(async (tx) => {
    const begun: Begun = await factors.email.ask(factorDepsOf({ ...deps, db: tx }, request), user, now)
    if (begun.mail) {
      const { address, code, expiresAt } = begun.mail
      await queueMail(
        tx,
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
    return { email: { kept: begun.kept, sentTo: masked(user.email ?? '') } }
  })
}

/** `a…@example.com`: enough for its owner to know which one. */
export const masked = (address: string): string => address.replace(/^(.)[^@]*/, '$1…')

const askWith = (kept: Kept, refused?: string): Ask => {
  const { types, passkey, email, remember } = kept
  const mistake = isStuck(kept) ? 'mistake.mail_unavailable' : refused
  const takesCode = types.some((type) => type !== 'webauthn' && (type !== 'email' || email))
  return {
    fields: [
      ...(takesCode ? [{ name: 'code', type: 'text', required: passkey === undefined, autocomplete: 'one-time-code' } as const] : []),
      ...(remember && !isStuck(kept)
        ? [{ name: 'remember', type: 'checkbox', required: false, ...(remember.ticked ? { checked: true } : {}) } as const]
        : []),
    ],
    mistakes: mistake ? [{ field: 'code', detail: mistake }] : [],
    more: {
      ...(passkey ? { passkey: passkey.options as Record<string, unknown> } : {}),
      ...(email ? { sentTo: email.sentTo } : {}),
      ...(types.includes('email') && !isStuck(kept) ? { methods: ['email'] } : {}),
    },
  }
}

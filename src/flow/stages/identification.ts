import { anyPasskey, findPasskeyMethod, webauthn } from '#/identity/factors/webauthn.ts'
import { findUser, type User } from '#/identity/users.ts'
import { hasControlCharacters } from '#/lib/control_characters.ts'
import { randomToken } from '#/lib/crypto.ts'
import { factorDepsOf } from '../factor_deps.ts'
import { addFailure, findLockOut, networkCounters } from '../failures.ts'
import {
  type Answer,
  type Ask,
  type Facts,
  type FlowDeps,
  foreseen,
  lockedOut,
  type Outcome,
  type Stage,
  type StageInput,
  textIn,
} from '../stage.ts'

const longest = 254

/**
 * Takes the name as it is typed. Whether anyone has it is not looked up here, so neither answer nor time can tell. A passkey that knows its
 * owner passes straight away.
 */
export const identification: Stage = {
  challenge: async (deps, input) => {
    if (input.facts.user_id !== undefined || input.carried.token !== undefined) return { kind: 'passed', facts: {} }
    return { kind: 'ask', ask: ask(deps, input) }
  },
  answer: async (deps, input, answer) => {
    const credential = credentialIn(answer)
    if (credential !== undefined) return await passkey(deps, input, credential)
    const username = textIn(answer, 'username').trim().normalize('NFC')
    const mistake = username === '' ? 'mistake.username_required' : isName(username) ? undefined : 'mistake.username_malformed'
    if (mistake) return { kind: 'failed', reason: 'InvalidAnswer', ask: ask(deps, input, mistake) }
    return { kind: 'passed', facts: { username } }
  },
  foresee: async (deps, input, { user, factor }) => {
    const isByPasskey = factor === 'webauthn' && input.settings.passkey === true && user.active
    const method = isByPasskey ? await findPasskeyMethod(factorDepsOf(deps, input.request), user.id) : undefined
    const facts = method === undefined ? { username: user.username } : provenBy(user, [method, 'user'], input.now)
    return foreseen(await identification.challenge(deps, input), facts)
  },
}

const provenBy = ({ id, username }: User, amr: string[], now: Date): Facts => ({
  user_id: id,
  username,
  amr,
  factors: ['webauthn'],
  auth_time: Math.floor(now.getTime() / 1_000),
})

const passkey = async (deps: FlowDeps, input: StageInput, credential: unknown): Promise<Outcome> => {
  const { settings, request, now } = input
  const counters = networkCounters(request.network)
  const locked = await findLockOut(deps.db, counters, now)
  if (locked !== undefined) return lockedOut(ask(deps, input, 'mistake.locked_out'), locked)
  const proof =
    settings.passkey === true
      ? await webauthn.verify(factorDepsOf(deps, request), undefined, { kept: challengeOf(input), credential }, now)
      : undefined
  const user = proof?.kind === 'proven' ? await findUser(deps.db, proof.user_id) : undefined
  if (proof?.kind !== 'proven' || !user?.active) {
    await addFailure(deps.db, counters, now)
    // Each challenge is good for one answer.
    const keep = { challenge: randomToken() }
    return { kind: 'failed', reason: 'InvalidCredentials', ask: ask(deps, { ...input, kept: keep }, 'mistake.passkey'), keep }
  }
  return { kind: 'passed', facts: provenBy(user, proof.amr, now) }
}

/** The first is the attempt's own, so that showing the page writes nothing. */
const challengeOf = ({ kept, nonce }: StageInput): string => textIn(kept, 'challenge') || nonce()

const ask = (deps: FlowDeps, input: StageInput, mistake?: string): Ask => {
  const { context, facts, settings, request } = input
  const field = {
    name: 'username',
    type: 'text',
    required: true,
    autocomplete: settings.passkey === true ? 'username webauthn' : 'username',
    value: facts.username ?? context.login_hint ?? '',
  } as const
  const asked: Ask = { fields: [field], mistakes: mistake ? [{ field: 'username', detail: mistake }] : [] }
  return settings.passkey === true
    ? { ...asked, more: { passkey: { ...anyPasskey(factorDepsOf(deps, request).site, challengeOf(input)) } } }
    : asked
}

/** A form sends it as a text, empty when there is none. What is no JSON is an answer too, and a wrong one. */
export const credentialIn = ({ credential }: Answer): unknown => {
  if (typeof credential !== 'string') return credential
  if (credential === '') return undefined
  try {
    return JSON.parse(credential)
  } catch {
    return null
  }
}

const isName = (text: string) => text.length <= longest && !hasControlCharacters(text) && text.isWellFormed()

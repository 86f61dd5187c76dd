/** What the four stages that set up a factor have in common: an offer that is kept, and an answer that makes it the person's own. */
import { isFactorName } from '#/identity/authenticators.ts'
import type { Begun, Factor } from '#/identity/factor.ts'
import { factors } from '#/identity/factors/index.ts'
import { canSend, queueMail } from '#/identity/mail.ts'
import type { PasskeyPolicy } from '#/identity/passkey_policy.ts'
import { findUser, type User } from '#/identity/users.ts'
import type { FactorType } from '#/kinds/flow_stages.ts'
import type { ChallengeMore } from './challenge.ts'
import { changeBy } from './change_by.ts'
import { factorDepsOf } from './factor_deps.ts'
import { addFailure, codeCounters, countMail, findLockOut } from './failures.ts'
import { type Ask, type Field, type FieldMistake, type FlowDeps, lockedOut, type Stage, type StageInput, textIn } from './stage.ts'
import { credentialIn } from './stages/identification.ts'

interface SetUp {
  type: FactorType
  /** Beside its name. */
  fields: Field[]
  /** Of what it is called when the person gives it no name. */
  standardName: string
  passkeysOf?: (input: StageInput) => PasskeyPolicy
  /** Shown of the offer. */
  shown: (begun: Shown) => ChallengeMore
  mistake: string
}

type Shown = Omit<Begun, 'mail'> & { sentTo?: string }

export const setUpStage = (setUp: SetUp): Stage => {
  const factor: Factor = factors[setUp.type]
  const depsOf = (deps: FlowDeps, input: StageInput) => ({
    ...factorDepsOf(deps, input.request),
    ...(setUp.passkeysOf ? { passkeys: setUp.passkeysOf(input) } : {}),
  })
  const ask = (begun: Shown, mistake?: FieldMistake, name = ''): Ask => ({
    fields: [...setUp.fields, { name: 'name', type: 'text', required: false, autocomplete: 'off', ...(name ? { value: name } : {}) }],
    mistakes: mistake ? [mistake] : [],
    more: setUp.shown(begun),
  })
  const wrong = (detail: string): FieldMistake => ({ field: setUp.fields[0]?.name ?? 'name', detail })
  const offer = async (deps: FlowDeps, input: StageInput, user: User): Promise<Shown> => {
    // Whose mailbox that is nobody knows yet: what it gets is bounded, and tells nothing of the person.
    const stranger =
      setUp.type === 'email' && user.email !== null && !user.emailVerified ? { name: null, username: null, email: user.email } : undefined
    if (stranger) await countMail(deps.db, { address: stranger.email, network: input.request.network }, input.now)
    const { mail, ...begun } = await factor.offer(depsOf(deps, input), user, input.now)
    if (!mail) return begun
    const { address, code, expiresAt } = mail
    const { authServer, locales } = input.request
    const locale = user.locale ?? locales[0] ?? null
    await queueMail(
      deps.db,
      {
        to: address,
        template: stranger ? 'email_confirmation' : 'email_code',
        locale,
        user: stranger ?? user,
        product: authServer.displayName,
        variables: { code, expiresAt },
      },
      { ...deps, now: input.now },
    )
    return { ...begun, sentTo: address }
  }
  return {
    ...(setUp.type === 'email' ? { sends: true } : {}),
    challenge: async (deps, input) => {
      const user = input.facts.user_id === undefined ? undefined : await findUser(deps.db, input.facts.user_id)
      if (!user?.active) return { kind: 'denied', reason: 'access_denied' }
      const known = shownOf(input)
      if (known) return { kind: 'ask', ask: ask(known) }
      const begun = await offer(deps, input, user)
      return { kind: 'ask', ask: ask(begun), keep: { ...begun } }
    },
    answer: async (deps, input, answer) => {
      const { request, now, facts } = input
      const begun = shownOf(input)
      const user = facts.user_id === undefined ? undefined : await findUser(deps.db, facts.user_id)
      if (!begun || !user?.active) return { kind: 'denied', reason: 'access_denied' }
      if (begun.sentTo !== undefined && textIn(answer, 'method') === 'email') {
        const again = await deps.db.transaction((db) => offer({ ...deps, db }, input, user))
        return { kind: 'ask', ask: ask(again), keep: { ...again } }
      }
      const name = textIn(answer, 'name').trim().slice(0, 1_000)
      // Before the code, which is good once.
      if (name !== '' && !isFactorName(name))
        return { kind: 'failed', reason: 'InvalidAnswer', ask: ask(begun, { field: 'name', detail: 'mistake.factor_name' }, name) }
      const counters = codeCounters({ account: user.id, network: request.network })
      const locked = await findLockOut(deps.db, counters, now)
      if (locked !== undefined) return lockedOut(ask(begun, wrong('mistake.too_many_codes'), name), locked)
      const confirmed = await factor.confirm(
        depsOf(deps, input),
        user,
        {
          kept: begun.kept,
          code: textIn(answer, 'code').slice(0, 100),
          credential: credentialIn(answer),
          name: name || setUp.standardName,
        },
        changeBy(user.username, deps, request),
        now,
      )
      if (confirmed.kind === 'added') return { kind: 'passed', facts: {} }
      await addFailure(deps.db, counters, now)
      return { kind: 'failed', reason: 'InvalidCredentials', ask: ask(begun, wrong(setUp.mistake), name) }
    },
    foresee: async (deps, { facts }) => {
      const user = facts.user_id === undefined ? undefined : await findUser(deps.db, facts.user_id)
      if (!user?.active) return { kind: 'denied', reason: 'access_denied' }
      const asked = ask({ kept: '', ...(setUp.type === 'webauthn' ? { passkey: {} } : {}) })
      if (user.serviceAccount) return { kind: 'stuck', ask: asked, reason: 'service_account' }
      if (setUp.type !== 'email') return { kind: 'asked', ask: asked, facts: {} }
      if (!user.email) return { kind: 'stuck', ask: asked, reason: 'no_confirmed_address' }
      return canSend(deps.settings) ? { kind: 'asked', ask: asked, facts: {} } : { kind: 'stuck', ask: asked, reason: 'no_mail_server' }
    },
  }
}

/** Absent before the stage has asked. */
const shownOf = ({ kept }: StageInput): Shown | undefined => (typeof kept.kept === 'string' ? (kept as unknown as Shown) : undefined)

/** A code to an address that someone entered, typed back here: then the mailbox is theirs. */
import { randomInt } from 'node:crypto'
import { canSend, NoMailServer, queueMail } from '#/identity/mail.ts'
import { emailKey } from '#/identity/name_key.ts'
import { sameSecret } from '#/lib/crypto.ts'
import { addFailure, codeCounters, countMail, findLockOut } from './failures.ts'
import { type Ask, type FlowDeps, type Foreseen, lockedOut, type Stage, type StageInput, textIn } from './stage.ts'

const lifetimeMs = 10 * 60_000

export const confirmation = {
  challenge: async (deps, input) => {
    const address = addressToProve(input)
    if (address === undefined) return { kind: 'passed', facts: {} }
    if (input.kept.address === address) return { kind: 'ask', ask: ask(address) }
    return { kind: 'ask', ask: ask(address), keep: await send(deps, input, address) }
  },
  answer: async (deps, input, answer) => {
    const { kept, request, now } = input
    const address = textIn(kept, 'address')
    if (textIn(answer, 'method') === 'email') {
      const again = await deps.db.transaction((db) => send({ ...deps, db }, input, address))
      return { kind: 'ask', ask: ask(address), keep: again }
    }
    const counters = codeCounters({ account: `address:${emailKey(address)}`, network: request.network })
    const before = await findLockOut(deps.db, counters, now)
    if (before !== undefined) return lockedOut(ask(address, 'mistake.too_many_codes'), before)
    const code = textIn(answer, 'code').replace(/[\s-]/g, '')
    const isRight = sameSecret(code, textIn(kept, 'code')) && now.getTime() < Number(kept.until)
    if (!isRight || code === '') {
      await addFailure(deps.db, counters, now)
      return { kind: 'failed', reason: 'InvalidCredentials', ask: ask(address, 'mistake.code') }
    }
    const after = await findLockOut(deps.db, counters, now)
    return after === undefined
      ? { kind: 'passed', facts: { proven_email: address } }
      : lockedOut(ask(address, 'mistake.too_many_codes'), after)
  },
  foresee: async ({ settings }: FlowDeps, input: StageInput): Promise<Foreseen> => {
    const address = addressToProve(input)
    if (address === undefined) return { kind: 'passed', facts: {} }
    return canSend(settings)
      ? { kind: 'asked', ask: ask(address), facts: { proven_email: address } }
      : { kind: 'stuck', ask: ask(address), reason: 'no_mail_server' }
  },
} satisfies Stage

/** Undefined: there is nothing to prove, or it is proven: before, or by the invitation that went there. */
const addressToProve = ({ facts: { prompted, proven_email, invitation } }: StageInput): string | undefined =>
  prompted?.email === proven_email || prompted?.email === invitation?.email ? undefined : prompted?.email

const ask = (address: string, mistake?: string): Ask => ({
  fields: [{ name: 'code', type: 'text', required: true, autocomplete: 'one-time-code' }],
  mistakes: mistake ? [{ field: 'code', detail: mistake }] : [],
  more: { sentTo: address, methods: ['email'] },
})

const send = async (deps: FlowDeps, { facts, request, now }: StageInput, address: string) => {
  if (!canSend(deps.settings)) throw new NoMailServer()
  await countMail(deps.db, { address, network: request.network }, now)
  const code = String(randomInt(1_000_000)).padStart(6, '0')
  const expiresAt = new Date(now.getTime() + lifetimeMs)
  const { username = null, name = null } = facts.prompted ?? {}
  await queueMail(
    deps.db,
    {
      to: address,
      template: 'email_confirmation',
      locale: request.locales[0] ?? null,
      user: { username, name, email: address },
      product: request.authServer.displayName,
      variables: { code, expiresAt },
    },
    { ...deps, now },
  )
  return { address, code, until: expiresAt.getTime() }
}

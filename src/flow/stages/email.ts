/**
 * Proves a mailbox by a link that was mailed. Whether anyone was mailed is not told, and takes no other time: the worker looks whose address it is
 * (task send_recovery). The link begins an attempt of its own, in whatever browser it is opened; opening it uses nothing up, the post does.
 */

import { canSend, NoMailServer } from '#/identity/mail.ts'
import { findPasswordVersion } from '#/identity/passwords.ts'
import { queueRecovery } from '#/identity/recovery.ts'
import { forgetDevicesOf } from '#/identity/remembered_devices.ts'
import { findUser } from '#/identity/users.ts'
import { parseDuration } from '#/lib/clock.ts'
import { sha256 } from '#/lib/crypto.ts'
import { consumeMailedLink, findMailedLink } from '#/model/mailed_links.ts'
import { confirmation } from '../confirm_address.ts'
import { countMail } from '../failures.ts'
import { type Ask, type FlowDeps, type Stage, type StageInput, textIn } from '../stage.ts'

export const email: Stage = {
  sends: true,
  challenge: async (deps, input) => {
    if (isConfirmation(input)) return confirmation.challenge(deps, input)
    const { carried, kept } = input
    const token = textIn(carried, 'token')
    if (token !== '') {
      const link = await findMailedLink(deps.db, linkOf(input, token), input.now)
      return link ? { kind: 'ask', ask: { fields: [], mistakes: [] } } : { kind: 'denied', reason: 'link_invalid' }
    }
    if (kept.sent !== true) await send(deps, input)
    return { kind: 'ask', ask: sent(), ...(kept.sent === true ? {} : { keep: { sent: true } }) }
  },
  answer: async (deps, input, answer) => {
    if (isConfirmation(input)) return confirmation.answer(deps, input, answer)
    const token = textIn(input.carried, 'token')
    // Sent once more.
    if (token === '') {
      await send(deps, input)
      return { kind: 'ask', ask: sent() }
    }
    const consumed = await consumeMailedLink(deps.db, linkOf(input, token), input.now)
    const user = consumed && (await findUser(deps.db, consumed.user_id))
    // The address must be theirs still.
    if (!consumed || !user?.active || user.serviceAccount || user.email !== consumed.email || !user.emailVerified)
      return { kind: 'denied', reason: 'link_invalid' }
    // Whoever recovers an account may have lost a device.
    await forgetDevicesOf(deps.db, user.id)
    const password_version = await findPasswordVersion(deps.db, user.id)
    return { kind: 'passed', facts: { user_id: user.id, username: user.username, proven_email: consumed.email, password_version } }
  },
  foresee: async (deps, input, { user }) => {
    if (isConfirmation(input)) return confirmation.foresee(deps, input)
    const { id: user_id, username, email: proven_email } = user
    if (!canSend(deps.settings)) return { kind: 'stuck', ask: sent(), reason: 'no_mail_server' }
    if (!user.active || user.serviceAccount) return { kind: 'stuck', ask: sent(), reason: user.active ? 'service_account' : 'inactive' }
    if (proven_email === null || !user.emailVerified) return { kind: 'stuck', ask: sent(), reason: 'no_confirmed_address' }
    return { kind: 'asked', ask: sent(), facts: { user_id, username, proven_email } }
  },
}

const isConfirmation = ({ settings }: StageInput) => settings.template === 'email_confirmation'

const linkOf = ({ request: { authServer }, flow }: StageInput, token: string) => ({
  token_hash: sha256(token),
  issuer: authServer.issuerUrl,
  flow_name: flow,
})

/** What is shown, whoever it is. */
const sent = (): Ask => ({ fields: [], mistakes: [], more: { sentTo: '' } })

const send = async (deps: FlowDeps, { facts, flow, request, settings, now }: StageInput): Promise<void> => {
  if (!canSend(deps.settings)) throw new NoMailServer()
  await countMail(deps.db, { network: request.network }, now)
  await queueRecovery(
    deps,
    {
      login: facts.username ?? '',
      flow,
      issuer: request.authServer.issuerUrl,
      product: request.authServer.displayName,
      locale: request.locales[0] ?? null,
      ttlMs: parseDuration(String(settings.linkTTL)) ?? 30 * 60_000,
    },
    now,
  )
}

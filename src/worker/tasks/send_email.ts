import { openQueuedMail } from '#/identity/mail.ts'
import { MailError } from '#/lib/mail.ts'
import { PermanentFailure, type Task } from '../task.ts'

/** Renders a mail and hands it to the mail server. Its templates are those of this moment, its Message-ID that of the moment it was queued. */
export const send_email: Task = async ({ clock, rootSecret, settings, post }, payload, signal) => {
  const mail = openQueuedMail(payload, rootSecret)
  if (!mail) throw new PermanentFailure('this is no mail that was queued here')
  if (mail.variables.expiresAt && mail.variables.expiresAt <= clock()) throw new PermanentFailure('what it holds has expired meanwhile')
  if (!settings.SMTP_URL) throw new Error('SMTP_URL is not set in the worker')
  try {
    await (await post()).send(mail, signal)
  } catch (error) {
    if (error instanceof MailError && error.permanent) throw new PermanentFailure(error.message)
    throw error
  }
  return { template: mail.template, message_id: mail.messageId }
}

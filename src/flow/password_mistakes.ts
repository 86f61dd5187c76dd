import type { UnfitPassword } from '#/identity/passwords.ts'
import type { FieldMistake } from './stage.ts'

/** What is wrong with a new password, for the page that asked for it. */
export const passwordMistakes = ({ mistakes }: UnfitPassword): FieldMistake[] =>
  mistakes.map(({ code, values }) => ({ field: 'password', detail: `mistake.${code}`, values }))

/**
 * Asks for what its settings name, on one page. What is a field of a user is held to what users may be; a password to the rules of the store, and
 * it is hashed before it is kept.
 */
import { checkNewPassword, UnfitPassword } from '#/identity/passwords.ts'
import { userFields } from '#/identity/user_fields.ts'
import { findUserByLogin } from '#/identity/users.ts'
import { promptVariables } from '#/kinds/expression_variables.ts'
import type { PromptField, StageSettings } from '#/kinds/flow_stages.ts'
import { compileExpression } from '#/lib/expression.ts'
import { rulesOf } from '#/policy/access.ts'
import { passwordRulesOf } from '#/resources/password_rules.ts'
import type { CompiledStage } from '../flows.ts'
import { passwordMistakes } from '../password_mistakes.ts'
import { type Answer, type Ask, type FieldMistake, type FlowDeps, foreseen, type Stage, type StageInput, textIn } from '../stage.ts'

const longest = 4_096

export const prompt: Stage = {
  challenge: async (_, input) => ({ kind: 'ask', ask: ask(input, input.facts.prompted ?? {}, []) }),
  answer: async (deps, input, answer) => {
    const values = read(fieldsOf(input), answer)
    const mistakes = [...findMistakes(fieldsOf(input), values), ...(await findTaken(deps, input, values))]
    const { password } = values
    if (password !== undefined && !mistakes.length) mistakes.push(...(await judge(deps, input, { ...values, password })))
    if (mistakes.length) return { kind: 'failed', reason: 'InvalidAnswer', ask: ask(input, values, mistakes) }
    const { password: _password, passwordRepeat: _repeat, ...shown } = values
    const visible = Object.fromEntries(Object.entries(shown).filter(([name]) => typeOf(input, name) !== 'password'))
    // Asked again, what is left empty now is not what it was before.
    const before = Object.entries(input.facts.prompted ?? {}).filter(([name]) => typeOf(input, name) === undefined)
    return {
      kind: 'passed',
      facts: {
        prompted: { ...Object.fromEntries(before), ...visible },
        // Whoever is known keeps the name under which events tell of them.
        ...(visible.username && input.facts.user_id === undefined ? { username: visible.username } : {}),
      },
      ...(password === undefined ? {} : { carry: { password_hash: await deps.passwords.hash(password) } }),
    }
  },
  foresee: async (deps, input, { user }) => {
    const names = fieldsOf(input).map((field) => field.name)
    const own = { username: user.username, name: user.name ?? '', email: user.email ?? '', locale: user.locale ?? '' }
    const prompted = Object.fromEntries(Object.entries(own).filter(([name, value]) => names.includes(name) && value !== ''))
    const outcome = foreseen(await prompt.challenge(deps, input), { prompted: { ...input.facts.prompted, ...prompted } })
    return outcome.kind === 'asked' && names.includes('password') ? { ...outcome, carry: { password_hash: '' } } : outcome
  },
}

/** Where among these stages the last prompt is that asked for one of these fields; -1 where none did. */
export const promptFor = (stages: readonly CompiledStage[], mistakes: readonly FieldMistake[]): number =>
  stages.findLastIndex(
    ({ stage, settings }) =>
      stage === 'prompt' && (settings as StageSettings<'prompt'>).fields.some(({ name }) => mistakes.some(({ field }) => field === name)),
  )

/** The same question, with what was wrong in the answer. */
export const promptAgain = (input: StageInput, mistakes: FieldMistake[]): Ask => ask(input, input.facts.prompted ?? {}, mistakes)

// Checked by the kind.
const fieldsOf = ({ settings }: StageInput): PromptField[] => (settings as StageSettings<'prompt'>).fields

const typeOf = (input: StageInput, name: string) => fieldsOf(input).find((field) => field.name === name)?.type

type Values = Record<string, string>

/** Passwords as they are, everything else without blanks around it; what was left empty is not there. */
const read = (fields: readonly PromptField[], answer: Answer): Values =>
  Object.fromEntries(
    fields.flatMap(({ name, type }) => {
      const given = answer[name] === true ? 'true' : textIn(answer, name).slice(0, longest)
      const value = type === 'password' ? given : given.trim().normalize('NFC')
      return value === '' ? [] : [[name, value]]
    }),
  )

const findMistakes = (fields: readonly PromptField[], values: Values): FieldMistake[] =>
  fields.flatMap((field): FieldMistake[] => {
    const { name, type, required, options, validate, message } = field
    const value = values[name]
    const wrong = (detail: string, text?: string): FieldMistake[] => [{ field: name, detail, ...(text ? { text } : {}) }]
    if (value === undefined) return required ? wrong('mistake.field_required') : []
    if (type === 'select' && !options?.includes(value)) return wrong('mistake.field_malformed')
    if (name === 'passwordRepeat' && value !== values.password) return wrong('mistake.password_repeat')
    const shape = userShapes[name as keyof typeof userShapes]
    if (shape && !shape.safeParse(value).success) return wrong(name === 'email' ? 'mistake.email_malformed' : 'mistake.field_malformed')
    if (!shape && /\p{Cc}/u.test(value) && type !== 'password') return wrong('mistake.field_malformed')
    if (validate === undefined) return []
    return holds(validate, value, values) ? [] : wrong('mistake.field_malformed', message)
  })

const { username, email, name, locale } = userFields.shape
const userShapes = { username, email, name, locale }

/** One that fails does not hold. Passwords are not shown to it. */
const holds = (validate: string, value: string, { password: _, passwordRepeat: __, ...fields }: Values): boolean => {
  try {
    return compileExpression(validate, promptVariables).evaluate({ value, fields }) === true
  } catch {
    return false
  }
}

/** Of someone new: a name that is taken. Who has an address is told to nobody: that shows when the mailbox is proven. */
const findTaken = async ({ db, snapshot }: FlowDeps, { facts }: StageInput, { username }: Values): Promise<FieldMistake[]> => {
  if (facts.user_id !== undefined || username === undefined) return []
  // A Role may give rights to a name that nobody has yet: whoever enrols does not get them by choosing it.
  const hasRights = rulesOf(
    snapshot.list('Role').map(({ spec }) => spec),
    { username, groups: [] },
  ).length
  return hasRights || (await findUserByLogin(db, username)) ? [{ field: 'username', detail: 'mistake.username_taken' }] : []
}

const judge = async (
  deps: FlowDeps,
  { facts, request, now }: StageInput,
  values: Values & { password: string },
): Promise<FieldMistake[]> => {
  const { password: plain, username, email, name } = { ...facts.prompted, ...values }
  try {
    const rules = passwordRulesOf(deps.snapshot, request.authServer)
    await checkNewPassword(deps, { plain, rules, person: { username, email, name }, user_id: facts.user_id }, now)
    return []
  } catch (error) {
    if (error instanceof UnfitPassword) return passwordMistakes(error)
    throw error
  }
}

const autocomplete: Record<string, string> = {
  username: 'username',
  name: 'name',
  email: 'email',
  password: 'new-password',
  passwordRepeat: 'new-password',
}

const ask = (input: StageInput, values: Values, mistakes: FieldMistake[]): Ask => {
  const { invitation } = input.facts
  const begins: Values = {
    ...(invitation?.email ? { email: invitation.email } : {}),
    ...(invitation?.name ? { name: invitation.name } : {}),
  }
  return {
    fields: fieldsOf(input).map(({ name, type, label, required, options }) => {
      const value = type === 'password' ? undefined : (values[name] ?? begins[name])
      return {
        name,
        type,
        required,
        ...(label ? { label } : {}),
        ...(value === undefined ? {} : { value }),
        ...(options ? { options: options.map((option) => ({ value: option, label: option })) } : {}),
        ...(autocomplete[name] ? { autocomplete: autocomplete[name] } : {}),
      }
    }),
    mistakes,
  }
}

/** A step as a challenge for JSON, and as what its page is given. Both come from the same, so that no front end knows more than another. */
import type { Challenge, ChallengeField } from './challenge.ts'
import type { Step } from './executor.ts'
import { isForSignedIn } from './flows.ts'
import type { StagePage } from './page_variables.ts'
import type { PageRenderer } from './pages.ts'

type Asking = Extract<Step, { kind: 'ask' | 'refused' }>

type Texts = (key: string, values?: Record<string, unknown>) => string

const textsFor =
  (pages: PageRenderer, locales: readonly string[]): Texts =>
  (key, values) =>
    pages.text(locales, key, values)

/** A stage may call a field something of its own: `field.{stage}.{name}`. */
const labelOf = (stage: string, name: string, text: Texts): string => {
  const own = `field.${stage}.${name}`
  const words = text(own)
  return words === own ? text(`field.${name}`) : words
}

const labelled = ({ ask, stage }: Asking, text: Texts) =>
  ask.fields.map(({ autocomplete: _, label, ...field }): ChallengeField => ({ ...field, label: label ?? labelOf(stage, field.name, text) }))

const told = ({ ask }: Asking, text: Texts) =>
  ask.mistakes.map(({ field, detail, values, text: own }) => ({ field, text: own ?? text(detail, values) }))

export const challengeOf = (step: Asking, pages: PageRenderer, locales: readonly string[]): Challenge => {
  const text = textsFor(pages, locales)
  return {
    attempt: step.attempt,
    flow: step.flow.name,
    stage: step.stage,
    fields: labelled(step, text),
    errors: told(step, text).map((mistake) => ({ pointer: `/${mistake.field}`, detail: mistake.text })),
    ...step.ask.more,
  }
}

export const stagePageOf = (
  step: Asking,
  pages: PageRenderer,
  locales: readonly string[],
  /** `recovery`: the flow by which accounts are recovered. */
  { pathPrefix, recovery }: { pathPrefix: string; recovery: string },
): StagePage => {
  const text = textsFor(pages, locales)
  const { client, user } = step.context
  return {
    action: `${pathPrefix}/flow/${step.flow.name}`,
    attempt: step.attempt,
    stage: step.stage,
    fields: labelled(step, text).map((field, index) => {
      const autocomplete = step.ask.fields[index]?.autocomplete
      return {
        ...field,
        ...(autocomplete ? { autocomplete } : {}),
        isWrong: step.ask.mistakes.some((mistake) => mistake.field === field.name),
      }
    }),
    mistakes: told(step, text),
    ...(client ? { client } : {}),
    canDecline: step.isBegunForOther,
    canRestart: !isForSignedIn(step.flow),
    designation: step.flow.designation,
    ...(step.facts.username ? { username: step.facts.username } : {}),
    ...(user ? { person: user.name } : {}),
    scopes: scopesInWords(step.context, text),
    ...(step.ask.more ? { more: step.ask.more } : {}),
    ...(step.canRecover ? { recovery: `${pathPrefix}/flow/${recovery}` } : {}),
  }
}

/** What a client wants, or may do, as people say it. */
export const scopesInWords = (
  { scopes = [], resources = {} }: { scopes?: readonly string[]; resources?: Readonly<Record<string, readonly string[]>> },
  text: Texts,
): { name: string; text: string }[] =>
  [...new Set([...scopes, ...Object.values(resources).flat()])].map((name) => {
    const key = `scope.${name}`
    const words = text(key)
    return { name, text: words === key ? text('scope.other', { scope: name }) : words }
  })

import { findAcceptedTerms, storeAcceptedTerms } from '#/model/accepted_terms.ts'
import { type Ask, type Stage, type StageInput, textIn } from '../stage.ts'

/** Asked once of each person for each version. Whoever is not known yet is asked, and user_write keeps the answer. */
export const terms: Stage = {
  challenge: async ({ db }, input) => {
    const { user_id } = input.facts
    const version = versionOf(input)
    if (input.facts.accepted_terms === version) return { kind: 'passed', facts: {} }
    if (user_id !== undefined && (await findAcceptedTerms(db, { user_id, version }))) return { kind: 'passed', facts: {} }
    return { kind: 'ask', ask: ask(input) }
  },
  answer: async ({ db }, input, answer) => {
    if (answer.accept !== true && textIn(answer, 'accept') !== 'true')
      return { kind: 'failed', reason: 'InvalidAnswer', ask: ask(input, 'mistake.terms_required') }
    const { user_id } = input.facts
    const version = versionOf(input)
    if (user_id !== undefined) await storeAcceptedTerms(db, { user_id, version }, input.now)
    return { kind: 'passed', facts: { accepted_terms: version } }
  },
}

const versionOf = ({ settings }: StageInput): string => String(settings.version)

const ask = ({ settings: { text, url } }: StageInput, mistake?: string): Ask => ({
  fields: [{ name: 'accept', type: 'checkbox', required: true, value: 'true' }],
  mistakes: mistake ? [{ field: 'accept', detail: mistake }] : [],
  more: { terms: { ...(typeof text === 'string' ? { text } : {}), ...(typeof url === 'string' ? { url } : {}) } },
})

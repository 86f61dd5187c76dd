import { hasControlCharacters } from '#/lib/control_characters.ts'
import { type Ask, type Stage, type StageInput, textIn } from '../stage.ts'

const longest = 254

/** Takes the name as it is typed. Whether anyone has it is not looked up here, so neither answer nor time can tell. */
export const identification: Stage = {
  challenge: async (_, input) => ({ kind: 'ask', ask: ask(input) }),
  answer: async (_, input, answer) => {
    const username = textIn(answer, 'username').trim().normalize('NFC')
    const mistake = username === '' ? 'mistake.username_required' : isName(username) ? undefined : 'mistake.username_malformed'
    return mistake ? { kind: 'failed', reason: 'InvalidAnswer', ask: ask(input, mistake) } : { kind: 'passed', facts: { username } }
  },
}

const ask = ({ context, facts }: StageInput, mistake?: string): Ask => ({
  fields: [{ name: 'username', type: 'text', required: true, autocomplete: 'username', value: facts.username ?? context.login_hint ?? '' }],
  mistakes: mistake ? [{ field: 'username', detail: mistake }] : [],
})

const isName = (text: string) => text.length <= longest && !hasControlCharacters(text) && text.isWellFormed()

import type { Ours } from '../ours.ts'
import { formHeaders } from '../target.ts'
import type { LoadScenario } from './scenario.ts'

const json = { 'content-type': 'application/json', accept: 'application/json' }

interface Challenge {
  attempt?: string
  stage: string
}

/** A person signs in from nothing to a session: the flow is begun, the name given, the password given. The limit computes the same Argon2id hash and answers. */
export const password_sign_in: LoadScenario = {
  kind: 'load',
  connections: 8,
  prepare: async (target) => {
    if (!('person' in target)) return undefined
    // `person` is what only ours has.
    const { person } = target as Ours
    const flow = '/api/v1/flows/authentication'
    return async (connection) => {
      const begun = await connection.send('GET', `${flow}?next=/`, json)
      const cookie = (begun.headers.get('set-cookie') ?? []).map((line) => line.split(';', 1)[0]).join('; ')
      let challenge = JSON.parse(begun.body) as Challenge
      for (let step = 0; challenge.stage !== 'done'; step++) {
        const { attempt, stage } = challenge
        if (step > 3 || !attempt) throw new Error(`the flow ended at ${stage}: ${JSON.stringify(challenge).slice(0, 300)}`)
        const answer = await connection.send(
          'POST',
          flow,
          { ...json, cookie, origin: target.origin },
          JSON.stringify({ attempt, stage, ...answerOf(stage, person) }),
        )
        if (answer.status !== 200) throw new Error(`${stage} answered ${answer.status}: ${answer.body.slice(0, 300)}`)
        challenge = JSON.parse(answer.body) as Challenge
      }
    }
  },
  prepareLimit: async () => {
    const body = `password=${encodeURIComponent('correct horse battery staple')}`
    return async (connection) => {
      const answer = await connection.send('POST', '/password', formHeaders, body)
      if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.body}`)
    }
  },
}

const answerOf = (stage: string, { username, password }: Ours['person']): Record<string, string> =>
  stage === 'identification' ? { username } : stage === 'password' ? { password } : {}

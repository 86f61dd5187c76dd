/** The thread of password_strength.ts. */
import { parentPort } from 'node:worker_threads'
import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common'
import { dictionary as english } from '@zxcvbn-ts/language-en'
import { judgedCharacters } from './password_strength.ts'

const zxcvbn = new ZxcvbnFactory({
  dictionary: { ...common, ...english },
  graphs: adjacencyGraphs,
  maxLength: judgedCharacters,
  // With its default of 100, the worst passwords took five times as long and were judged the same.
  l33tMaxSubstitutions: 10,
})

parentPort?.on('message', ({ plain, words }: { plain: string; words: string[] }) => {
  parentPort?.postMessage(zxcvbn.check(plain, words).score)
})

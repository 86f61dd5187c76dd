/**
 * Reads manifests in a thread: the YAML library takes seconds for a few megabytes, in which nobody else would be answered. There is one
 * thread, with bounds on time and memory, started when it is first needed; it ends when it was not needed for a while.
 */
import { Worker } from 'node:worker_threads'
import { Problem } from '#/lib/problem.ts'
import { type DocumentText, TooMuch } from './manifest_text.ts'

const longestMs = 30_000
const idleMs = 10_000
const mostWaiting = 16
const memoryMb = 768

type Answer = { documents: DocumentText[] } | { tooMuch: string }

let thread: Worker | undefined
let ending: NodeJS.Timeout | undefined
let waiting = 0
let turn: Promise<unknown> = Promise.resolve()

/** Throws TooMuch for what takes too long or too much memory, and Problem `unavailable` when too many wait. */
export const readElsewhere = async (text: string): Promise<DocumentText[]> => {
  if (waiting >= mostWaiting) throw new Problem('unavailable', { detail: 'too many manifests are read at the moment', retryAfter: 10 })
  waiting++
  clearTimeout(ending)
  const answer = turn.then(() => ask(text))
  turn = answer.catch(() => {})
  try {
    const answered = await answer
    if ('tooMuch' in answered) throw new TooMuch(answered.tooMuch)
    return answered.documents
  } finally {
    if (--waiting === 0) ending = setTimeout(end, idleMs).unref()
  }
}

const start = (): Worker => {
  const worker = new Worker(new URL('manifest_thread.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: memoryMb } })
  worker.unref()
  return worker
}

const end = (): void => {
  void thread?.terminate()
  thread = undefined
}

const ask = (text: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    thread ??= start()
    const worker = thread
    const settle = () => {
      clearTimeout(timer)
      worker.off('message', answered).off('error', failed).off('exit', ended).unref()
    }
    const refuse = (error: Error) => {
      settle()
      end()
      reject(error)
    }
    const timer = setTimeout(() => refuse(new TooMuch('the manifests take too long to read: apply them in parts')), longestMs)
    const answered = (answer: Answer) => {
      settle()
      resolve(answer)
    }
    const failed = (error: NodeJS.ErrnoException) =>
      refuse(
        error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new TooMuch('the manifests take too much memory to read: apply them in parts') : error,
      )
    const ended = () => refuse(new Error('the thread that reads manifests ended'))
    worker.on('message', answered).on('error', failed).on('exit', ended).ref()
    worker.postMessage(text)
  })

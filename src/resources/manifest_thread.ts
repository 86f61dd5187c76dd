/** The thread of manifest_reader.ts. */
import { parentPort } from 'node:worker_threads'
import { readText, TooMuch } from './manifest_text.ts'

const read = (text: string) => {
  try {
    return { documents: readText(text) }
  } catch (error) {
    if (error instanceof TooMuch) return { tooMuch: error.message }
    throw error
  }
}

parentPort?.on('message', (text: string) => parentPort?.postMessage(read(text)))

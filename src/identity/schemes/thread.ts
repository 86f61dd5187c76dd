/** A thread of threads.ts: answers whether a password is that of a stored hash. */
import { parentPort } from 'node:worker_threads'
import { findStoredHash } from '../stored_hash.ts'

parentPort?.on('message', async ({ stored, plain }: { stored: string; plain: string }) => {
  parentPort?.postMessage((await findStoredHash(stored)?.verify(plain)) ?? false)
})

import { Worker } from 'node:worker_threads'

/** Threads that verify what would block the main one. At most `size`; who calls sees to it that no more is asked at once. */
export interface SchemeThreads {
  verify(stored: string, plain: string): Promise<boolean>
  close(): Promise<void>
}

const idleMs = 60_000

export const openSchemeThreads = (size: number): SchemeThreads => {
  const idle: Worker[] = []
  const all = new Set<Worker>()
  const waiting: ((worker: Worker) => void)[] = []
  let ending: NodeJS.Timeout | undefined
  let closed = false

  const start = (): Worker => {
    const worker = new Worker(new URL('thread.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 64 } })
    all.add(worker)
    worker.unref()
    return worker
  }

  const take = (): Promise<Worker> => {
    clearTimeout(ending)
    const worker = idle.pop() ?? (all.size < size ? start() : undefined)
    return worker ? Promise.resolve(worker) : new Promise((resume) => waiting.push(resume))
  }

  const give = (worker: Worker): void => {
    const next = waiting.shift()
    if (next) next(worker)
    else {
      idle.push(worker)
      if (idle.length === all.size && !closed) ending = setTimeout(() => void close(), idleMs).unref()
    }
  }

  const close = async (): Promise<void> => {
    clearTimeout(ending)
    const ended = [...all]
    all.clear()
    idle.length = 0
    await Promise.all(ended.map((worker) => worker.terminate()))
  }

  /** A thread that broke is let go, and the next question starts another. */
  const ask = (worker: Worker, stored: string, plain: string): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const settle = (broken: Error | undefined, ok: boolean) => {
        worker.off('message', answered).off('error', failed).off('exit', ended).unref()
        if (!broken) {
          give(worker)
          resolve(ok)
          return
        }
        all.delete(worker)
        waiting.shift()?.(start())
        reject(broken)
      }
      const answered = (ok: unknown) => settle(undefined, ok === true)
      const failed = (error: Error) => settle(error, false)
      const ended = () => settle(new Error('the thread of the password schemes ended'), false)
      worker.on('message', answered).on('error', failed).on('exit', ended).ref()
      worker.postMessage({ stored, plain })
    })

  return {
    verify: async (stored, plain) => {
      if (closed) throw new Error('the password hasher is closed')
      return ask(await take(), stored, plain)
    },
    close: async () => {
      closed = true
      await close()
    },
  }
}

import { setTimeout as delay } from 'node:timers/promises'
import { startProgram } from '../program.ts'
import { residentKiB } from '../resident.ts'
import type { FigureScenario } from './scenario.ts'

const restMs = 5_000

/**
 * Resident memory of a server that was started and left alone, beside a Node program that only waits. Not of the first start after an installation,
 * which keeps the compiler of TypeScript, some 10 MiB: what it compiled it leaves, when it ends, to those that follow.
 */
export const memory: FigureScenario = {
  kind: 'figure',
  measure: async (ours) => {
    const first = await ours.startAnother()
    await delay(restMs)
    await first.stop()
    const empty = startProgram(['-e', 'setInterval(() => {}, 1000)'])
    const another = await ours.startAnother()
    try {
      await delay(restMs)
      const [mine, theirs] = [residentKiB(another.pid), residentKiB(empty.pid)]
      return {
        value: mine / theirs,
        ours: `${Math.round(mine / 1024)} MiB`,
        limit: `${Math.round(theirs / 1024)} MiB`,
        details: {
          rps: null,
          limit_rps: null,
          ratio: mine / theirs,
          p50_ms: null,
          p99_ms: null,
          bytes: mine * 1024,
          limit_bytes: theirs * 1024,
        },
      }
    } finally {
      await Promise.all([another.stop(), empty.stop()])
    }
  },
}

import { median } from '../load.ts'
import { startProgram } from '../program.ts'
import type { FigureScenario } from './scenario.ts'

const rounds = 7

const timed = async (work: () => Promise<void>): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** From starting `signet server` on a migrated database until /-/health/ready answers 200; beside it a Node program that does nothing. */
export const start: FigureScenario = {
  kind: 'figure',
  measure: async (ours) => {
    const ourMs: number[] = []
    const emptyMs: number[] = []
    for (let round = 0; round <= rounds; round++) {
      let another: Awaited<ReturnType<typeof ours.startAnother>> | undefined
      const mine = await timed(async () => {
        another = await ours.startAnother()
      })
      await another?.stop()
      const empty = await timed(() => startProgram(['-e', '0']).ended())
      if (round === 0) continue
      ourMs.push(mine)
      emptyMs.push(empty)
    }
    const value = median(ourMs.map((ms, round) => ms / (emptyMs[round] ?? Number.NaN)))
    return {
      value,
      ours: `${Math.round(median(ourMs))} ms`,
      limit: `${Math.round(median(emptyMs))} ms`,
      details: { rps: null, limit_rps: null, ratio: value, p50_ms: median(ourMs), p99_ms: Math.max(...ourMs), limit_ms: median(emptyMs) },
    }
  },
}

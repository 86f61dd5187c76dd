/** Work of one sort, so much at once and so much waiting; what comes beyond that is refused at once. */
export class NoRoom extends Error {
  constructor() {
    super('too much is asked at once')
  }
}

export const openTurns = ({ atOnce, mostWaiting }: { atOnce: number; mostWaiting: number }) => {
  let running = 0
  const waiting: (() => void)[] = []
  /** Rejects with NoRoom. */
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running < atOnce) running++
    else {
      if (waiting.length >= mostWaiting) throw new NoRoom()
      // Whoever ends hands on the turn itself, so nobody comes in between.
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

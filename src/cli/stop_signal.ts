/** A Ctrl-C reaches us from the terminal and, where npm or the launcher pass it on, a second time at once. */
const sameForMs = 1_000

/** Resolves at the first SIGINT or SIGTERM. A later one ends the process at once, for whoever can't wait. */
export const stopSignal = (): { stopped: Promise<NodeJS.Signals>; isStopped: () => boolean } => {
  let askedAt: number | undefined
  const stopped = new Promise<NodeJS.Signals>((done) => {
    const hear = (signal: NodeJS.Signals) => {
      const now = performance.now()
      if (askedAt !== undefined && now - askedAt > sameForMs) process.exit(1)
      askedAt ??= now
      done(signal)
    }
    process.on('SIGINT', hear)
    process.on('SIGTERM', hear)
  })
  return { stopped, isStopped: () => askedAt !== undefined }
}

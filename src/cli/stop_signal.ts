/** Resolves at the first SIGINT or SIGTERM. A second one ends the process at once, for whoever can't wait. */
export const stopSignal = (): { stopped: Promise<NodeJS.Signals>; isStopped: () => boolean } => {
  let asked = false
  const stopped = new Promise<NodeJS.Signals>((done) => {
    const hear = (signal: NodeJS.Signals) => {
      if (asked) process.exit(1)
      asked = true
      done(signal)
    }
    process.on('SIGINT', hear)
    process.on('SIGTERM', hear)
  })
  return { stopped, isStopped: () => asked }
}

import { setImmediate } from 'node:timers/promises'

/** How long a request may have the program to itself. */
const mostMs = 10

/** Long work asks after each part: it waits for whatever else is to do once the time is over, and not at all before. */
export const openPauses = (): (() => Promise<void> | undefined) => {
  let since = performance.now()
  return () => {
    if (performance.now() - since < mostMs) return undefined
    return setImmediate().then(() => {
      since = performance.now()
    })
  }
}

/** A map that forgets its oldest entries, so that what people send can not fill the memory: bounded in number, and in the room they take. */
export const openKept = <Value>({ most, mostBytes }: { most: number; mostBytes: number }) => {
  const known = new Map<string, { value: Value; bytes: number }>()
  let total = 0

  const forget = (key: string): void => {
    total -= known.get(key)?.bytes ?? 0
    known.delete(key)
  }

  return {
    get: (key: string): Value | undefined => known.get(key)?.value,
    /** `bytes`: about what it takes. */
    set: (key: string, value: Value, bytes: number): void => {
      forget(key)
      if (bytes > mostBytes) return
      known.set(key, { value, bytes })
      total += bytes
      for (const oldest of known.keys()) {
        if (known.size <= most && total <= mostBytes) break
        forget(oldest)
      }
    },
    entries: (): [string, Value][] => [...known].map(([key, { value }]) => [key, value]),
    size: () => known.size,
  }
}

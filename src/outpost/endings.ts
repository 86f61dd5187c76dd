/** Sessions that ended, kept as long as a cookie could still name one. */
export interface Endings {
  add(ending: { issuer: string; sid: string; endedAt: number }): void
  has(issuer: string, sid: string): boolean
  list(): { issuer: string; sid: string; endedAt: number }[]
  /** Forgets those that ended before. */
  forget(before: number): void
}

export const openEndings = (): Endings => {
  // In the order of their coming, which is nearly that of their ending.
  const known = new Map<string, number>()
  const keyOf = (issuer: string, sid: string) => `${sid} ${issuer}`
  return {
    add: ({ issuer, sid, endedAt }) => {
      known.set(keyOf(issuer, sid), endedAt)
    },
    has: (issuer, sid) => known.size > 0 && known.has(keyOf(issuer, sid)),
    list: () =>
      [...known].map(([key, endedAt]) => {
        const at = key.indexOf(' ')
        return { sid: key.slice(0, at), issuer: key.slice(at + 1), endedAt }
      }),
    forget: (before) => {
      for (const [key, endedAt] of known) if (endedAt < before) known.delete(key)
    },
  }
}

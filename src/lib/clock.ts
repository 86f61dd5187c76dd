/** The program's time is an argument, so that a test can set it. */
export type Clock = () => Date

export const systemClock: Clock = () => new Date()

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `90s`, `15m`, `720h`, `1h30m` → milliseconds; undefined for anything else. */
export const parseDuration = (text: string): number | undefined => {
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) return undefined
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(amount) * units[unit as keyof typeof units]
  return Number.isSafeInteger(total) ? total : undefined
}

/** Whether two kinds of request can be told apart by the time that they take. */

/**
 * The chance that one of `one` took longer than one of `other` (Mann and Whitney's U over the number of pairs): 0.5 when nothing tells them
 * apart, 0 or 1 when everything does. Ranks alone count, so a machine that is slow now and then, or busy with other things, does no more than blur it.
 */
export const chanceOfLonger = (one: readonly number[], other: readonly number[]): number => {
  let longer = 0
  for (const a of one) for (const b of other) longer += a > b ? 1 : a === b ? 0.5 : 0
  return longer / (one.length * other.length)
}

/** How far from 0.5 chance alone gets in one of a million runs (4.9 standard deviations of U). */
export const farthestByChance = (one: number, other: number): number => 4.9 * Math.sqrt((one + other + 1) / (12 * one * other))

/** Each kind once a round, in another order each round: whatever the machine does meanwhile, it does to all of them. */
export const interleaved = async <Kind extends string>(
  kinds: readonly Kind[],
  rounds: number,
  take: (kind: Kind, round: number) => Promise<number>,
): Promise<Record<Kind, number[]>> => {
  const times = Object.fromEntries(kinds.map((kind) => [kind, [] as number[]])) as Record<Kind, number[]>
  for (let round = 0; round < rounds; round++) {
    const order = kinds.map((kind) => ({ kind, at: Math.random() })).sort((a, b) => a.at - b.at)
    for (const { kind } of order) times[kind].push(await take(kind, round))
  }
  return times
}

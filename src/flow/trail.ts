/** What became of the stages of an attempt so far, a letter each in the order of the flow. It is told to administrators and decides nothing. */
const letters = { answered: 'a', passed: 'p', left_out: 'l' } as const

/** `passed`: it had nothing to ask. `left_out`: by its `when`. */
export type Passage = keyof typeof letters

/** Those before it of which nothing is known were left out. */
export const withPassage = (trail: string | undefined, stage_index: number, passage: Passage): string =>
  (trail ?? '').slice(0, stage_index).padEnd(stage_index, letters.left_out) + letters[passage]

/** Of the first `count` stages. */
export const passagesOf = (trail: string | undefined, count: number): Passage[] =>
  [...(trail ?? '').slice(0, count).padEnd(count, letters.left_out)].map((letter) =>
    letter === letters.answered ? 'answered' : letter === letters.passed ? 'passed' : 'left_out',
  )

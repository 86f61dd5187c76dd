/** One statement: text with `$n` where values go. */
export interface Statement {
  /** Under which PostgreSQL keeps it; '' for one that is prepared each time. */
  readonly name: string
  readonly text: string
  readonly values: unknown[]
}

/** One of which nothing is asked but that it is done: `begin`, `commit`. */
export const command = (text: string): Statement => ({ name: '', text, values: [] })

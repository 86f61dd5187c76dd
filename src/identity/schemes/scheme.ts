/** A way in which a password is stored. Each stands in a file of this folder, named for it, and in the table of `index.ts`. */

/** A stored hash that was understood and found affordable. */
export interface StoredHash {
  /** Whether it is this password. Compares in constant time. */
  verify(plain: string): boolean | Promise<boolean>
  /** Scheme and costs: hashes of one form take the same time. */
  form: string
  /** Computes for long in JavaScript: wants a thread of its own. */
  blocks: boolean
  /** Made by us as we make them today, so there is no reason to hash anew. */
  isCurrent: boolean
}

/** Understood, but not taken: why. */
export interface Refusal {
  refused: string
}

export interface Scheme {
  /** Undefined: the text is of another scheme. Costs are bounded here: a hostile hash must not eat the machine. */
  parse(text: string): StoredHash | Refusal | undefined
}

import type { Failure, FieldMistake } from './stage.ts'

/**
 * Thrown by a stage that works in the transaction of the move: what was asked for earlier can't be had. The transaction is undone, and the
 * prompt that asked for it asks again.
 */
export class AskAgain extends Error {
  readonly mistakes: FieldMistake[]
  readonly reason: Failure
  constructor(mistakes: FieldMistake[], reason: Failure) {
    super('what was asked for can not be had')
    this.mistakes = mistakes
    this.reason = reason
  }
}

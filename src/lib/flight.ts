/**
 * Several statements in one message, answered together: of what comes before a Sync PostgreSQL executes one after another, and skips the rest after the
 * first error (PostgreSQL documentation, "Extended Query"). A round trip costs more than most of our statements: both sides are woken for it.
 */
import pg from 'pg'
import type { Statement } from './statement.ts'

/** What `pg` sends through, as far as its queries use it. */
interface Connection {
  stream: { cork(): void; uncork(): void }
  /** By name, what PostgreSQL has prepared, and what it was asked to. */
  parsedStatements: Record<string, string>
  submittedNamedStatements: Record<string, string>
  parse(message: unknown): void
  bind(message: unknown): void
  describe(message: unknown): void
  execute(message: unknown): void
  close(message: unknown): void
  sync(): void
}

/** A query of `pg`, of which the types know less than it does. */
interface Query {
  readonly name: string | undefined
  readonly text: string
  callback: (error: Error | null, result: pg.QueryResult) => void
  submit(connection: Connection): Error | null
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, connection: Connection): void
  handleReadyForQuery(connection: Connection): void
}

/** The same connection for one of several queries, which is not to end the message. */
const shared = (connection: Connection): Connection => ({
  stream: { cork: () => {}, uncork: () => {} },
  parsedStatements: connection.parsedStatements,
  submittedNamedStatements: connection.submittedNamedStatements,
  parse: (message) => connection.parse(message),
  bind: (message) => connection.bind(message),
  describe: (message) => connection.describe(message),
  execute: (message) => connection.execute(message),
  close: () => {},
  sync: () => {},
})

/** `pg` calls what it hears from PostgreSQL on it. */
class Flight {
  readonly #queries: readonly Query[]
  readonly #results: pg.QueryResult[] = []
  readonly #done: (error: Error | null, results: pg.QueryResult[]) => void
  /** Which of them is answered next. */
  #at = 0
  #error: Error | null = null

  constructor(statements: readonly Statement[], done: (error: Error | null, results: pg.QueryResult[]) => void) {
    this.#done = done
    this.#queries = statements.map((statement) => {
      const query = new pg.Query({ ...statement, queryMode: 'extended' } as pg.QueryConfig) as unknown as Query
      query.callback = (error, result) => {
        if (error) this.#error ??= error
        else this.#results.push(result)
      }
      return query
    })
  }

  /** `pg` notes under these what PostgreSQL says it has prepared: statements come after one another, each whole before the next. */
  get name(): string | undefined {
    return this.#queries[this.#at]?.name
  }

  get text(): string | undefined {
    return this.#queries[this.#at]?.text
  }

  submit(connection: Connection): Error | null {
    connection.stream.cork()
    for (const query of this.#queries) {
      const error = query.submit(shared(connection))
      this.#error ??= error
      // Of a value that can't be sent; what was sent before it is answered all the same.
      if (this.#error) break
    }
    connection.sync()
    connection.stream.uncork()
    return null
  }

  handleRowDescription(message: unknown): void {
    this.#queries[this.#at]?.handleRowDescription(message)
  }

  handleDataRow(message: unknown): void {
    this.#queries[this.#at]?.handleDataRow(message)
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    const query = this.#queries[this.#at++]
    if (!query) return
    query.handleCommandComplete(message, connection)
    query.handleReadyForQuery(connection)
  }

  handleError(error: Error, connection: Connection): void {
    this.#forget(connection)
    this.#done(this.#error ?? error, [])
  }

  handleReadyForQuery(connection: Connection): void {
    this.#forget(connection)
    this.#done(this.#error, this.#results)
  }

  #forget(connection: Connection): void {
    for (const { name } of this.#queries) if (name) delete connection.submittedNamedStatements[name]
  }
}

/** Sends them at once, and answers the result of each. Rejects with the first error; what comes after it is not executed. */
export const fly = async (client: pg.ClientBase, statements: readonly Statement[]): Promise<pg.QueryResult[]> => {
  try {
    return await new Promise((resolve, reject) => {
      client.query(new Flight(statements, (error, results) => (error ? reject(error) : resolve(results))) as unknown as pg.Submittable)
    })
  } catch (error) {
    // Where it was asked, not where the socket is read.
    Error.captureStackTrace(error as Error)
    throw error
  }
}

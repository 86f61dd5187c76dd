import { errors } from 'oidc-provider'
import type { Database, Db } from '#/lib/sql.ts'

/** PostgreSQL is away, or going or coming: connection errors of Node, and classes 08, 53 and 57 of SQLSTATE. */
export const isOutage = (error: Error): boolean => {
  const { code } = error as { code?: string }
  return (
    (code !== undefined && (/^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT)$/.test(code) || /^(08|53|57)/.test(code))) ||
    /Connection terminated|timeout exceeded when trying to connect/.test(error.message)
  )
}

/** What a client is told then: to come again (RFC 6749 section 4.1.2.1), where the library would say that something broke. */
const toldToComeAgain = (error: Error): Error =>
  isOutage(error)
    ? Object.assign(new errors.TemporarilyUnavailable('try again later'), { status: 503, statusCode: 503, cause: error })
    : error

const telling =
  <Parameters extends unknown[], Result>(work: (...parameters: Parameters) => Promise<Result>) =>
  (...parameters: Parameters): Promise<Result> =>
    work(...parameters).catch((error: Error) => {
      throw toldToComeAgain(error)
    })

const tellingDb = (db: Db): Db => ({
  // The casts: these methods are generic, and what they answer is handed on as it is.
  any: telling(db.any) as Db['any'],
  maybeOne: telling(db.maybeOne) as Db['maybeOne'],
  one: telling(db.one) as Db['one'],
  run: telling(db.run),
  transaction: telling((work: (tx: Db) => Promise<unknown>) => db.transaction(work)) as Db['transaction'],
})

/** The same database, whose absence the library answers as what it is. */
export const forLibrary = (db: Database): Database => ({ ...db, ...tellingDb(db) })

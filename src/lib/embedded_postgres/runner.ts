/**
 * By whom PostgreSQL is run. It refuses to run as root: root gives it to the account `signet`, made when missing. Where that account can't
 * walk to the folder (a checkout in /root), it gets the capability to read past directory permissions rather than the folder moved.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Binaries } from './binaries.ts'

/** How a program of PostgreSQL is started: by whom, and what is put in front of its command line. */
export interface Runner {
  account: { uid: number; gid: number } | undefined
  /** `setpriv` and its arguments, when capabilities are needed. */
  prefix: string[]
}

const account = 'signet'

const accountOf = (name: string): Runner['account'] => {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}

const findAccount = (say: (line: string) => void): Runner['account'] => {
  const known = accountOf(account)
  if (known) return known
  spawnSync('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    account,
  ])
  const made = accountOf(account)
  if (made) say(`Made the system account ${account}, since PostgreSQL does not run as root.`)
  return made ?? accountOf('postgres') ?? accountOf('nobody')
}

/** By whom PostgreSQL is run, tried out: the account must be able to start the program and to walk to the data. */
export const findRunner = (binaries: Binaries, data: string, say: (line: string) => void): Runner => {
  if (process.getuid?.() !== 0) return { account: undefined, prefix: [] }
  const owner = existsSync(data) ? statSync(data) : undefined
  const user = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : findAccount(say)
  if (!user) throw new Error('PostgreSQL does not run as root, and there is no account to run it as. Start Signet as an ordinary user.')
  const folder = resolve(data, '..')
  const setpriv = (capability: string) => [
    'setpriv',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    // Else access(2), which PostgreSQL asks about its own files, is answered as if there were no capability.
    '--securebits=+no_setuid_fixup',
    `--inh-caps=-all,+${capability}`,
    `--ambient-caps=-all,+${capability}`,
    '--',
  ]
  for (const prefix of [[], setpriv('dac_read_search'), setpriv('dac_override')]) {
    const as = prefix.length ? {} : user
    const tries = (...command: string[]) => {
      const [program = '', ...args] = [...prefix, ...command]
      return spawnSync(program, args, { ...as, cwd: '/', stdio: 'ignore' }).status === 0
    }
    if (tries('test', '-x', binaries.postgres, '-a', '-x', folder)) return { account: user, prefix }
  }
  throw new Error(
    `PostgreSQL does not run as root, and the account it is given to can't enter ${folder} or the packages of this checkout. Move both to a place that others may enter, such as /srv, or start Signet as an ordinary user.`,
  )
}

export const start = (
  runner: Runner,
  command: string[],
  options: { stdio: ['ignore', number, number]; cwd: string; detached?: boolean },
) => {
  const [program = '', ...args] = [...runner.prefix, ...command]
  return spawn(program, args, {
    ...options,
    ...(runner.prefix.length ? {} : runner.account),
    // Of our own environment PostgreSQL gets nothing: PG… variables would change what it does, ours are none of its business.
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
  })
}

export const ended = (child: ChildProcess): Promise<string> =>
  new Promise((done) => {
    child.on('error', (error) => done(error.message))
    child.on('exit', (code, signal) => done(signal ?? `exit code ${code}`))
  })

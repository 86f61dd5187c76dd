/** What stands in the folder: the cluster, its password, its log. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Paths {
  folder: string
  data: string
  password: string
  log: string
}

export const prepareFolder = (folder: string): Paths => {
  const paths = {
    folder,
    data: join(folder, 'data'),
    password: join(folder, 'password'),
    log: join(folder, 'postgres.log'),
  }
  mkdirSync(folder, { recursive: true, mode: 0o711 })
  // Root's PostgreSQL runs as another account, which has to walk through here; what is inside is closed file by file.
  chmodSync(folder, process.getuid?.() === 0 ? 0o711 : 0o700)
  if (!existsSync(paths.password)) writeFileSync(paths.password, randomBytes(24).toString('base64url'), { mode: 0o600 })
  if (existsSync(paths.log)) renameSync(paths.log, `${paths.log}.1`)
  return paths
}

export const lastLines = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n')
  } catch {
    return ''
  }
}

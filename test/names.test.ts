/** File name = wire name: whoever has a name from the outside opens the file of that name. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const filesUnder = (folder: string): string[] =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
        .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    : []

/** Names of the modules of a folder, without tests and without the table that lists them. */
const modulesIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'index.ts')
    .map((name) => name.slice(0, -3))
    .sort()

const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8')
const snakeCase = (name: string): string => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase()
const load = async (path: string): Promise<Record<string, unknown>> => (await import(join(root, path))) as Record<string, unknown>
/** The table of that name that a module exports. */
const table = async (path: string, name: string): Promise<Record<string, unknown>> => {
  const { [name]: found } = await load(path)
  assert.ok(typeof found === 'object' && found !== null, `${path} exports ${name}`)
  return found as Record<string, unknown>
}

const sources = ['src', 'test', 'bench', 'demo', 'web'].flatMap(filesUnder).filter((path) => !path.startsWith('web/dist/'))

test('no file or folder is called utils, helpers, common, misc, manager, service or base', () => {
  const forbidden = /^(utils?|helpers?|common|misc|managers?|services?|base|(.*_)?(utils?|helpers?|manager))$/
  const wrong = sources.filter((path) => path.split('/').some((part) => forbidden.test(part.split('.')[0] ?? '')))
  assert.deepEqual(wrong, [])
})

test('TypeScript files are named in snake_case', () => {
  const wrong = sources.filter((path) => path.endsWith('.ts') && !/^[a-z][a-z0-9_]*(\.test)?\.ts$/.test(basename(path)))
  assert.deepEqual(wrong, [])
})

test('a kind stands in the file of its name, and every file that defines a kind is in the table', async () => {
  const kinds = await table('src/kinds/index.ts', 'kinds')
  const files = Object.keys(kinds).map(snakeCase).sort()
  for (const [name, kind] of Object.entries(kinds)) assert.equal((kind as { kind: string }).kind, name)
  const defining = modulesIn('src/kinds').filter((name) => /= defineKind\(/.test(read('src/kinds', `${name}.ts`)))
  assert.deepEqual(defining, files)
})

test('a stage stands in the file of its name, has a page, and is in the table', async () => {
  const stages = Object.keys(await table('src/flow/stages/index.ts', 'stages')).sort()
  assert.deepEqual(modulesIn('src/flow/stages'), stages)
})

test('a task stands in the file of its name and is in the table', async () => {
  const tasks = Object.keys(await table('src/worker/tasks/index.ts', 'tasks')).sort()
  assert.deepEqual(modulesIn('src/worker/tasks'), tasks)
})

test('a second factor stands in the file of its type and is in the table', async () => {
  const factors = Object.keys(await table('src/identity/factors/index.ts', 'factors')).sort()
  assert.deepEqual(modulesIn('src/identity/factors'), factors)
})

const migrations = readdirSync(join(root, 'migrations')).sort()

test('migrations are numbered without a gap, and each begins by saying what it is and what it locks', () => {
  migrations.forEach((name, index) => {
    assert.match(name, /^\d{4}_[a-z0-9_]+\.sql$/)
    assert.equal(Number(name.slice(0, 4)), index + 1, `${name} follows ${migrations[index - 1] ?? 'nothing'}`)
    const [comment = ''] = read('migrations', name).split(/\n(?!--)/)
    assert.match(comment, /^-- /, `${name} begins with a comment`)
    assert.match(comment, /lock/i, `${name} says what it locks`)
  })
})

test('a file of src/model/ is named for its table', () => {
  const text = migrations.map((name) => read('migrations', name)).join('\n')
  const tables = new Set(
    [...text.matchAll(/create (?:unlogged )?table (?:if not exists )?(?:public\.)?([a-z0-9_]+)/g)].map((match) => match[1]),
  )
  assert.deepEqual(
    modulesIn('src/model').filter((name) => !tables.has(name)),
    [],
  )
})

test('a command stands in the file of its name', async () => {
  const { commands } = await load('src/cli/main.ts').catch(() => ({ commands: undefined }))
  const names = commands instanceof Map ? [...commands.keys()] : Object.keys((commands ?? {}) as object)
  assert.ok(names.length > 0, 'src/cli/main.ts exports its commands')
  for (const name of names) assert.ok(existsSync(join(root, 'src/cli', `${String(name).replaceAll('-', '_')}.ts`)), `src/cli/${name}.ts`)
})

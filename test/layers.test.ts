/** The folders of src/ import down only. This table is the rule; ARCHITECTURE.md tells why. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** From the top down; folders of one line are siblings, and siblings never import one another. */
const layers = [
  ['cli'],
  ['server', 'worker'],
  ['api', 'portal'],
  ['outpost'],
  ['oidc'],
  ['flow'],
  ['resources'],
  ['identity'],
  ['policy'],
  ['kinds', 'events'],
  ['model'],
  ['lib'],
]

const root = fileURLToPath(new URL('..', import.meta.url))
const source = join(root, 'src')
const height = new Map(layers.flatMap((folders, index) => folders.map((folder) => [folder, layers.length - index] as const)))

interface Import {
  file: string
  line: number
  specifier: string
  /** `import type`: gone when the program runs. */
  isType: boolean
}

const filesUnder = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
        .map((entry) => join(entry.parentPath, entry.name))
    : []

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/^\s*\/\/.*$/gm, '')

const importsOf = (file: string): Import[] => {
  const text = withoutComments(readFileSync(file, 'utf8'))
  const pattern =
    /(?:^|\n|;)\s*(?:import|export)\s[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|(?:^|\n|;)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g
  return [...text.matchAll(pattern)].map((match) => ({
    file: relative(root, file),
    line: text.slice(0, match.index + match[0].length).split('\n').length,
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    isType: /^\W*(?:import|export)\s+type\b/.test(match[0]),
  }))
}

const isTest = (file: string) => file.endsWith('.test.ts')
const at = ({ file, line, specifier }: Import) => `${file}:${line} imports ${specifier}`

/** Path below src/ of what is imported, undefined for packages and what stands outside of src/. */
const targetOf = ({ file, specifier }: Import): string | undefined => {
  if (specifier.startsWith('#/')) return specifier.slice(2)
  if (!specifier.startsWith('.')) return undefined
  const target = relative(source, resolve(root, dirname(file), specifier))
  return target.startsWith('..') ? undefined : target
}
const folderOf = (path: string): string => path.split('/')[0] ?? ''

const files = filesUnder(source)
const imports = files.flatMap(importsOf)

test('every folder of src/ stands in the table, and every folder of the table in src/', () => {
  const folders = readdirSync(source, { withFileTypes: true })
  assert.deepEqual(
    folders.filter((entry) => !entry.isDirectory()).map((entry) => entry.name),
    [],
    'files stand in folders',
  )
  assert.deepEqual(folders.map((entry) => entry.name).sort(), [...height.keys()].sort())
})

test('imports between folders go down only, and siblings never import one another', () => {
  const wrong = imports.filter((found) => {
    const target = targetOf(found)
    if (target === undefined) return false
    const from = folderOf(relative('src', found.file))
    const to = folderOf(target)
    return from !== to && (height.get(from) ?? 0) <= (height.get(to) ?? Number.POSITIVE_INFINITY)
  })
  assert.deepEqual(wrong.map(at), [])
})

test('a crossing between folders is written #/folder/file.ts, an import inside of one ./file.ts, each with its extension', () => {
  const wrong = imports.filter(({ file, specifier }) => {
    const from = relative('src', file)
    if (specifier.startsWith('#/')) return folderOf(specifier.slice(2)) === folderOf(from) || !/\.(ts|json)$/.test(specifier)
    if (!specifier.startsWith('.')) return false
    const target = relative(source, resolve(root, dirname(file), specifier))
    // Only tests look out of src/: for the test database and the like.
    if (target.startsWith('..')) return !(isTest(file) && target.startsWith('../test/support/')) && !target.startsWith('../package.json')
    return folderOf(target) !== folderOf(from) || !/\.(ts|json)$/.test(specifier)
  })
  assert.deepEqual(wrong.map(at), [])
})

test('what is imported exists', () => {
  const wrong = imports.filter((found) => {
    const target = targetOf(found)
    return target !== undefined && !existsSync(join(source, target))
  })
  assert.deepEqual(wrong.map(at), [])
})

test('no file imports itself by way of others', () => {
  const edges = new Map<string, string[]>()
  for (const found of imports.filter(({ isType }) => !isType)) {
    const target = targetOf(found)
    if (target !== undefined) edges.set(relative('src', found.file), [...(edges.get(relative('src', found.file)) ?? []), target])
  }
  const done = new Set<string>()
  const circles: string[] = []
  const walk = (file: string, path: string[]) => {
    const begin = path.indexOf(file)
    if (begin >= 0) circles.push([...path.slice(begin), file].join(' → '))
    if (begin >= 0 || done.has(file)) return
    for (const next of edges.get(file) ?? []) walk(next, [...path, file])
    done.add(file)
  }
  for (const file of edges.keys()) walk(file, [])
  assert.deepEqual(circles, [])
})

test('no file exports a default', () => {
  const everything = ['src', 'test', 'bench', 'demo'].flatMap((folder) => filesUnder(join(root, folder)))
  const wrong = everything.filter((file) =>
    /(?:^|\n)\s*export\s+(?:default\b|\{[^}]*\bas\s+default\b)/.test(withoutComments(readFileSync(file, 'utf8'))),
  )
  assert.deepEqual(
    wrong.map((file) => relative(root, file)),
    [],
  )
})

test('the demo is a foreign program: it imports nothing of src/', () => {
  const wrong = filesUnder(join(root, 'demo'))
    .flatMap(importsOf)
    .filter((found) => targetOf(found) !== undefined)
  assert.deepEqual(wrong.map(at), [])
})

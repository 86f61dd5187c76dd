/** Documentation is held to the code: what a page tells the reader to do or to open has to be there. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { settingsTable } from '#/lib/config.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: root, encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((path) => path && existsSync(join(root, path)))

/** How GitHub makes an anchor of a heading. */
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...text.matchAll(/^#{1,6} (.+)$/gm)].map((match) =>
      (match[1] ?? '')
        .toLowerCase()
        .replace(/[`*]|\[|\]\([^)]*\)/g, '')
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  )

test('links and anchors of every page resolve', () => {
  const broken: string[] = []
  for (const page of pages) {
    const text = read(page).replace(/```[\s\S]*?```/g, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path ? resolve(root, dirname(page), decodeURI(path)) : join(root, page)
      if (!existsSync(file)) broken.push(`${page}: ${target}`)
      else if (anchor && file.endsWith('.md') && !anchorsOf(readFileSync(file, 'utf8')).has(anchor)) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('files and folders that pages name exist', () => {
  const broken: string[] = []
  for (const page of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md']) {
    for (const [, path = ''] of read(page).matchAll(/`((?:src|test|migrations|templates|docs|deploy|demo|bench|bin)\/[a-zA-Z0-9_./-]*)`/g))
      if (!existsSync(join(root, path))) broken.push(`${page}: ${path}`)
  }
  assert.deepEqual(broken, [])
})

test('commands that pages tell to type exist', async () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const { commands } = (await import(join(root, 'src/cli/main.ts'))) as { commands: object }
  const names = new Set<string>(commands instanceof Map ? [...commands.keys()] : Object.keys(commands))
  const broken: string[] = []
  for (const page of pages) {
    const text = read(page)
    for (const [, script = ''] of text.matchAll(/\bnpm run ([a-z][a-z:-]*)/g))
      if (!scripts[script]) broken.push(`${page}: npm run ${script}`)
    for (const [, block = ''] of text.matchAll(/```(?:sh|console|bash)?\n([\s\S]*?)```/g))
      for (const [, command = ''] of block.matchAll(/^(?:\$ )?(?:npx |bin\/)signet ([a-z][a-z-]*)/gm))
        if (!names.has(command)) broken.push(`${page}: signet ${command}`)
  }
  assert.deepEqual(broken, [])
  for (const script of Object.values(scripts))
    for (const [path] of script.matchAll(/\bbin\/[a-z_-]+/g)) assert.ok(existsSync(join(root, path)), path)
})

test('decisions are numbered without a gap, and each has its four sections on one page', () => {
  readdirSync(join(root, 'docs/decisions'))
    .sort()
    .forEach((name, index) => {
      const number = name.slice(0, 4)
      assert.equal(Number(number), index + 1, name)
      const text = read(`docs/decisions/${name}`)
      assert.ok(text.startsWith(`# ${number}: `), `${name} begins with its number and title`)
      for (const section of ['Context', 'Choice', 'Given up', 'What would change our mind'])
        assert.match(text, new RegExp(`^(\\*\\*${section}\\.\\*\\*|## ${section})`, 'm'), `${name} has a section ${section}`)
      assert.ok(text.split('\n').length <= 60, `${name} is one page`)
    })
})

test('the reference of settings names each setting and its default', () => {
  const text = read('docs/reference/settings.md')
  for (const [name, { default: fallback }] of Object.entries(settingsTable)) {
    assert.ok(text.includes(`SIGNET_${name}`), `SIGNET_${name}`)
    if (fallback) assert.ok(text.includes(fallback), `default of SIGNET_${name}`)
  }
})

test('every page is reached by links from the README', () => {
  const reached = new Set<string>()
  const visit = (page: string) => {
    if (reached.has(page)) return
    reached.add(page)
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const path = relative(root, resolve(root, dirname(page), target))
      if (path.endsWith('.md') && existsSync(join(root, path))) visit(path)
      // A link to a folder is a link to its pages.
      for (const other of pages) if (!path.endsWith('.md') && dirname(other) === path) visit(other)
    }
  }
  visit('README.md')
  // Whoever looks for news knows where it stands.
  reached.add('CHANGELOG.md')
  assert.deepEqual(
    pages.filter((page) => !reached.has(page) && !page.startsWith('.')),
    [],
  )
})

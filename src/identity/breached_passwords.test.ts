import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openBreachedPasswords, UnreadableList } from './breached_passwords.ts'

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

const sha1 = (plain: string) => hash('sha1', plain, 'hex').toUpperCase()
const nameOf = (plain: string) => sha1(plain).slice(0, 5)
const lineOf = (plain: string, count = 3) => `${sha1(plain).slice(5)}:${count}`
const other = `${'0'.repeat(34)}A:7`

const listOf = (files: Record<string, string>) => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-breached-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const rows: [title: string, files: Record<string, string>, plain: string, expected: boolean][] = [
  ['listed', { [nameOf('hunter2')]: `${other}\r\n${lineOf('hunter2')}\r\n` }, 'hunter2', true],
  ['listed in a file with an extension', { [`${nameOf('hunter2')}.txt`]: `${lineOf('hunter2')}` }, 'hunter2', true],
  ['listed in small letters', { [nameOf('hunter2')]: lineOf('hunter2').toLowerCase() }, 'hunter2', true],
  ['listed without a count', { [nameOf('hunter2')]: sha1('hunter2').slice(5) }, 'hunter2', true],
  ['listed in letters composed otherwise', { [nameOf('caf\u00e9')]: lineOf('caf\u00e9') }, 'cafe\u0301', true],
  ['padding', { [nameOf('hunter2')]: lineOf('hunter2', 0) }, 'hunter2', false],
  ['others of its prefix listed', { [nameOf('hunter2')]: other }, 'hunter2', false],
  ['an empty file', { [nameOf('hunter2')]: '' }, 'hunter2', false],
  ['its prefix has no file', { '00000': other }, nameOf('hunter2') === '00000' ? 'x' : 'hunter2', false],
]
for (const [title, files, plain, expected] of rows)
  test(`breached: ${title}: ${expected}`, async () => assert.equal(await openBreachedPasswords(listOf(files)).has(plain), expected))

const unreadable: [title: string, folder: () => string][] = [
  ['a folder that is not there', () => join(tmpdir(), 'signet-no-such-folder')],
  ['an empty folder', () => listOf({})],
  ['a folder of something else', () => listOf({ 'README.md': 'passwords were here' })],
  ['a file that is a page of an error', () => listOf({ [nameOf('hunter2')]: '<html>429 Too Many Requests</html>' })],
  ['a file of more than a megabyte', () => listOf({ [nameOf('hunter2')]: `${other}\n`.repeat(30_000) })],
  [
    'a folder in the place of a file',
    () => {
      const folder = listOf({})
      mkdirSync(join(folder, nameOf('hunter2')))
      return folder
    },
  ],
]
for (const [title, folder] of unreadable)
  test(`${title} is no list, and says which path`, async () => {
    const path = folder()
    await assert.rejects(
      openBreachedPasswords(path).has('hunter2'),
      (error) => error instanceof UnreadableList && error.path.startsWith(path),
    )
  })

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeAuthority } from '../../test/support/authority.ts'
import { readCertificateFolder } from './certificate_folder.ts'

let root: string
let number = 0
let cert: string
let key: string

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'signet-certificates-'))
  ;({ cert, key } = await (await makeAuthority(new Date())).issue('site.example.com'))
})
after(() => rmSync(root, { recursive: true, force: true }))

const folderOf = (files: Record<string, string>): string => {
  const folder = join(root, String(++number))
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const layouts: [title: string, files: () => Record<string, string>, name: string][] = [
  ['a .crt and a .key', () => ({ 'site.example.com.crt': cert, 'site.example.com.key': key }), 'site.example.com'],
  ['a .pem and a .key', () => ({ 'site.pem': cert, 'site.key': key }), 'site'],
  ['a .pem and a -key.pem', () => ({ 'site.pem': cert, 'site-key.pem': key }), 'site'],
  ['both in one file', () => ({ 'site.pem': `${key}\n${cert}` }), 'site'],
  [
    'a folder as certbot leaves it',
    () => ({ 'site/fullchain.pem': cert, 'site/privkey.pem': key, 'site/README': '', 'site/cert.pem': cert }),
    'site',
  ],
  ['a mounted Secret', () => ({ 'site/tls.crt': cert, 'site/tls.key': key }), 'site'],
  ['a mounted Secret as the folder itself', () => ({ 'tls.crt': cert, 'tls.key': key, '..data/tls.crt': cert }), 'tls'],
  ['capitals', () => ({ 'Site.pem': cert, 'Site.key': key }), 'site'],
]
for (const [title, files, name] of layouts)
  test(`taken is ${title}`, async () => {
    const { pairs, faults } = await readCertificateFolder(folderOf(files()))
    assert.deepEqual(faults, [])
    assert.deepEqual(
      pairs.map((pair) => [pair.name, pair.certificate.trim(), pair.privateKey.trim()]),
      [[name, cert.trim(), key.trim()]],
    )
  })

const faulty: [title: string, files: () => Record<string, string>, file: string, detail: RegExp][] = [
  ['a certificate without key', () => ({ 'site.pem': cert }), 'site.pem', /no private key/],
  ['a key without certificate', () => ({ 'site.key': key }), 'site.key', /no certificate beside it/],
  ['no PEM', () => ({ 'site.crt': 'text', 'site.key': key }), 'site.crt', /no certificate/],
  ['a file without end', () => ({ 'site.crt': 'x'.repeat(200_000), 'site.key': key }), 'site.crt', /larger/],
  ['a folder of something else', () => ({ 'site/notes.txt': '' }), 'site', /neither fullchain.pem nor tls.crt/],
  ['a folder without key', () => ({ 'site/tls.crt': cert }), 'site/tls.crt', /ENOENT/],
]
for (const [title, files, file, detail] of faulty)
  test(`told of by its name is ${title}, and what stands beside it is taken`, async () => {
    const { pairs, faults } = await readCertificateFolder(folderOf({ ...files(), 'other.pem': cert, 'other.key': key }))
    assert.deepEqual(
      faults.map((fault) => fault.file),
      [file],
    )
    assert.match(faults[0]?.detail ?? '', detail)
    assert.deepEqual(
      pairs.map(({ name }) => name),
      ['other'],
    )
  })

test('links are followed, and a device is no certificate', async () => {
  const folder = folderOf({ 'archive/.keep': '' })
  rmSync(join(folder, 'archive'), { recursive: true })
  const archive = folderOf({ 'cert1.pem': cert, 'key1.pem': key })
  mkdirSync(join(folder, 'site'))
  symlinkSync(join(archive, 'cert1.pem'), join(folder, 'site', 'fullchain.pem'))
  symlinkSync(join(archive, 'key1.pem'), join(folder, 'site', 'privkey.pem'))
  symlinkSync('/dev/zero', join(folder, 'endless.pem'))
  const { pairs, faults } = await readCertificateFolder(folder)
  assert.deepEqual(
    pairs.map(({ name }) => name),
    ['site'],
  )
  assert.match(faults[0]?.detail ?? '', /not a regular file/)
})

test('a link that leads nowhere harms no other', async () => {
  const folder = folderOf({ 'site.pem': cert, 'site.key': key })
  symlinkSync(join(root, 'nowhere'), join(folder, 'lost'))
  const { pairs, faults } = await readCertificateFolder(folder)
  assert.deepEqual([pairs.map(({ name }) => name), faults.map(({ file }) => file)], [['site'], ['lost']])
})

test('a folder that is not there is a fault', async () => {
  const { pairs, faults } = await readCertificateFolder(join(root, 'nowhere'))
  assert.deepEqual(pairs, [])
  assert.match(faults[0]?.detail ?? '', /ENOENT/)
})

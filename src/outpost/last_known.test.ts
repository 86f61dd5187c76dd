import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Secret } from '#/lib/secret.ts'
import { goodForMs, type LastKnown, openLastKnown } from './last_known.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-last-known-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'outpost_last_known')
const now = Date.parse('2026-03-01T12:00:00Z')
const own = { token: new Secret('signet_a-token-of-an-outpost'), server: 'https://id.example.com' }
const known: LastKnown = {
  at: now,
  outpost: 'default/edge',
  generation: '7',
  applications: [],
  endings: [{ issuer: 'https://id.example.com', sid: 'a-session', endedAt: now }],
  seen: '9',
  people: [['someone', null]],
}

test('what was kept is read again, by its owner alone, and shows nothing of itself', async () => {
  const file = openLastKnown(folder, own)
  assert.equal(await file.read(now), undefined)
  await file.write({ ...known, seen: '8' })
  await file.write(known)
  assert.deepEqual(await file.read(now), { known })
  assert.deepEqual(readdirSync(folder), ['outpost_last_known'])
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.doesNotMatch(readFileSync(path, 'latin1'), /a-session|edge|someone/)
})

const unusable: [title: string, read: () => Promise<unknown>][] = [
  ['another token', () => openLastKnown(folder, { ...own, token: new Secret('signet_a-token-of-another-one') }).read(now)],
  ['another server', () => openLastKnown(folder, { ...own, server: 'https://other.example.com' }).read(now)],
  ['a time longer than any sign-in', () => openLastKnown(folder, own).read(now + goodForMs + 1)],
  ['a clock that was set back', () => openLastKnown(folder, own).read(now - goodForMs - 1)],
]
for (const [title, read] of unusable)
  test(`it is of no use with ${title}`, async () => {
    const found = (await read()) as { known?: unknown; problem?: string }
    assert.equal(found.known, undefined)
    assert.ok(found.problem)
  })

test('it is of no use when it was changed, or cut short, and is gone when it is removed', async () => {
  const file = openLastKnown(folder, own)
  const sealed = readFileSync(path)
  for (const changed of [
    Buffer.from(sealed.map((byte, index) => (index === 40 ? byte ^ 1 : byte))),
    sealed.subarray(0, 20),
    Buffer.alloc(0),
  ]) {
    writeFileSync(path, changed)
    assert.ok('problem' in ((await file.read(now)) ?? {}))
  }
  await file.remove()
  await file.remove()
  assert.equal(await file.read(now), undefined)
})

test('what a process that was killed left half written is removed at the next start, and with the whole', async () => {
  const file = openLastKnown(folder, own)
  await file.write(known)
  const leave = () => writeFileSync(`${path}.0123456789ab.unfinished`, 'half')
  writeFileSync(join(folder, 'of-others.unfinished'), 'theirs')
  leave()
  assert.deepEqual(await file.read(now), { known })
  assert.deepEqual(readdirSync(folder).toSorted(), ['of-others.unfinished', 'outpost_last_known'])
  leave()
  await file.remove()
  assert.deepEqual(readdirSync(folder), ['of-others.unfinished'])
})

test('what stands in its place and can not be read keeps nothing from starting', async () => {
  mkdirSync(path)
  assert.match(((await openLastKnown(folder, own).read(now)) as { problem: string }).problem, /can not be read: EISDIR/)
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openLog } from '#/lib/log.ts'
import { listEvents } from '#/model/events.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { type ManifestWatch, watchManifests } from './watch.ts'

const now = new Date('2030-01-01T00:00:00Z')
let kernel: Kernel
let folder: string
let watching: ManifestWatch

before(async () => {
  kernel = await openKernel(now)
  folder = mkdtempSync(join(tmpdir(), 'signet-manifests-'))
})
after(async () => {
  await watching.close()
  rmSync(folder, { recursive: true })
  await kernel.drop()
})

const until = async (is: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  const deadline = Date.now() + 15_000
  while (!(await is())) {
    if (Date.now() > deadline) assert.fail(`not within 15 s: ${what}`)
    await delay(50)
  }
}

const client = (name: string, scope: string) => `apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: ${name} }
spec:
  authServerRef: { name: default }
  redirectUris: [https://app.example.com/cb]
  scopes:
    - ${scope}
`

test('what stands in the folder is applied at the start, across files, and what is wrong is an event with file and line', async () => {
  // The client comes first by name, its AuthServer last.
  writeFileSync(join(folder, 'a.yaml'), client('one', 'openid').replace('name: default }', 'name: mine }'))
  writeFileSync(join(folder, 'b.yml'), client('wrong', 'payments'))
  writeFileSync(
    join(folder, 'z.json'),
    JSON.stringify({
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'AuthServer',
      metadata: { name: 'mine' },
      spec: { issuerUrl: 'https://mine.example.com' },
    }),
  )
  writeFileSync(join(folder, 'notes.txt'), 'not a manifest')
  watching = watchManifests({ ...kernel, log: openLog('silent'), clock: () => now }, folder)
  await watching.applied
  assert.equal(kernel.snapshot.clientById('default', 'mine', 'default.one')?.problem, undefined)
  const events = await listEvents(kernel.db, { action: 'configuration.error', limit: 10 })
  assert.deepEqual(
    events.map(({ target_name, data }) => [target_name, data?.pointer]),
    [['b.yml:8', '/spec/scopes']],
  )
})

test('a changed file is applied, and its mistake is told once', async () => {
  writeFileSync(join(folder, 'b.yml'), client('wrong', 'email'))
  await until(() => kernel.snapshot.client('default', 'wrong') !== undefined, 'the mended client')
  writeFileSync(join(folder, 'b.yml'), `${client('wrong', 'email')}  colour: red\n`)
  await until(
    async () => (await listEvents(kernel.db, { action: 'configuration.error', limit: 10 })).length === 2,
    'the event of the new mistake',
  )
  assert.deepEqual(kernel.snapshot.get('AuthClient', 'default', 'wrong')?.spec.scopes, ['email'], 'the last good one stays')
})

test('what is no regular file of the folder, or too much, is left out and told once, and the rest is applied', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'signet-elsewhere-'))
  const role = (name: string) => `apiVersion: signet.dev/v1alpha1\nkind: Role\nmetadata: { name: ${name} }\nspec: { rules: [] }\n`
  writeFileSync(join(elsewhere, 'outside.yaml'), role('outside'))
  symlinkSync(join(elsewhere, 'outside.yaml'), join(folder, 'outside.yaml'))
  symlinkSync('/dev/zero', join(folder, 'endless.yaml'))
  symlinkSync('nowhere', join(folder, 'dangling.yaml'))
  execFileSync('mkfifo', [join(folder, 'pipe.yaml')])
  writeFileSync(join(folder, 'huge.yaml'), role('huge'))
  truncateSync(join(folder, 'huge.yaml'), 1_024 ** 4)
  mkdirSync(join(folder, 'folder.yaml'))
  let deep = join(folder, 'deep')
  for (let i = 0; i < 20; i++) deep = join(deep, 'er')
  mkdirSync(deep, { recursive: true })
  // As a ConfigMap is mounted.
  mkdirSync(join(folder, '..2030'))
  writeFileSync(join(folder, '..2030', 'inside.yaml'), role('inside'))
  symlinkSync('..2030', join(folder, '..data'))
  symlinkSync('..data/inside.yaml', join(folder, 'inside.yaml'))
  await until(() => kernel.snapshot.get('Role', 'default', 'inside') !== undefined, 'the manifest behind a link within the folder')
  const details = async () =>
    Object.fromEntries(
      (await listEvents(kernel.db, { action: 'configuration.error', limit: 100 }))
        .filter(({ target_name }) => !target_name?.startsWith('b.yml'))
        .map(({ target_name, data }) => [target_name, data?.detail]),
    )
  await until(async () => Object.keys(await details()).length >= 6, 'the events')
  assert.deepEqual(await details(), {
    'outside.yaml': 'is a link that leads out of the folder',
    'endless.yaml': 'is a link that leads out of the folder',
    'dangling.yaml': "can't be read (ENOENT)",
    'pipe.yaml': 'is not a regular file',
    'huge.yaml': 'is larger than 4194304 bytes',
    [`deep${'/er'.repeat(16)}`]: 'is left out: folders within 16 others are not read',
  })
  assert.equal(kernel.snapshot.get('Role', 'default', 'outside'), undefined)
  rmSync(elsewhere, { recursive: true })
})

/**
 * CERTS_DIR: each pair in it becomes a KeyPair of namespace default, named for its file or folder. Taken are
 *
 *   NAME.crt, NAME.cer or NAME.pem   with NAME.key or NAME-key.pem beside it, or with the key in it
 *   NAME/fullchain.pem, NAME/privkey.pem
 *   NAME/tls.crt, NAME/tls.key
 *
 * Links are followed, since those who renew certificates replace links. What is broken is an event that names the file, and the KeyPair stays as it was.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { recordEvent } from '#/events/record.ts'
import { apiVersion } from '#/kinds/kind.ts'
import { pemBlocks } from '#/lib/certificate.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import { applyDocuments } from './apply.ts'
import type { ResourceDeps } from './attempt.ts'
import { defaultNamespace } from './check.ts'

const mostEntries = 10_000
const largestFile = 128 * 1_024
const actor = 'certificates'

export interface CertificateFile {
  /** Below the folder, as it is told of. */
  file: string
  name: string
  certificate: string
  privateKey: string
}

export interface CertificateFault {
  file: string
  detail: string
}

export interface CertificateFolder {
  pairs: CertificateFile[]
  faults: CertificateFault[]
}

/** Never throws: a folder that can't be read is a fault. */
export const readCertificateFolder = async (folder: string): Promise<CertificateFolder> => {
  const found: CertificateFolder = { pairs: [], faults: [] }
  try {
    const { files, folders } = await list(folder)
    for (const [name, { certificate, key }] of pairsIn(files)) await take(folder, name, { certificate, key }, found)
    for (const name of folders) await takeFolder(folder, name, found)
  } catch (error) {
    found.faults.push({ file: folder, detail: unreadable(error) })
  }
  return found
}

const takeFolder = async (folder: string, name: string, found: CertificateFolder): Promise<void> => {
  try {
    const inside = new Set((await list(join(folder, name))).files)
    const layout = layouts.find(({ certificate }) => inside.has(certificate))
    if (layout) await take(folder, name, { certificate: join(name, layout.certificate), key: join(name, layout.key) }, found)
    else found.faults.push({ file: name, detail: 'holds neither fullchain.pem nor tls.crt' })
  } catch (error) {
    found.faults.push({ file: name, detail: unreadable(error) })
  }
}

const layouts = [
  { certificate: 'fullchain.pem', key: 'privkey.pem' },
  { certificate: 'tls.crt', key: 'tls.key' },
]

interface Parts {
  certificate?: string | undefined
  key?: string | undefined
}

const take = async (
  folder: string,
  name: string,
  { certificate: certificateFile, key: keyFile }: Parts,
  found: CertificateFolder,
): Promise<void> => {
  if (certificateFile === undefined) {
    found.faults.push({ file: keyFile ?? name, detail: `has no certificate beside it: ${name}.crt or ${name}.pem` })
    return
  }
  const file = certificateFile
  try {
    const blocks = pemBlocks(await read(join(folder, certificateFile)))
    const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE')
    const inside = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'))?.pem
    const privateKey = keyFile === undefined ? inside : await read(join(folder, keyFile))
    if (!certificates.length) found.faults.push({ file, detail: 'holds no certificate as PEM' })
    else if (privateKey === undefined) found.faults.push({ file, detail: `has no private key, in it or beside it as ${name}.key` })
    else found.pairs.push({ file, name: name.toLowerCase(), certificate: certificates.map(({ pem }) => `${pem}\n`).join(''), privateKey })
  } catch (error) {
    found.faults.push({ file, detail: unreadable(error) })
  }
}

/** Which files of a folder belong together. */
const pairsIn = (files: readonly string[]): Map<string, Parts> => {
  const pairs = new Map<string, Parts>()
  for (const file of files) {
    const [, name = '', ending = ''] = /^(.+?)(\.key|-key\.pem|\.crt|\.cer|\.pem)$/.exec(file) ?? []
    if (name === '') continue
    const isKey = ending === '.key' || ending === '-key.pem'
    pairs.set(name, { ...pairs.get(name), ...(isKey ? { key: file } : { certificate: file }) })
  }
  return pairs
}

/** In the order of their names, without hidden ones, which the mechanics of mounted Secrets are. */
const list = async (folder: string): Promise<{ files: string[]; folders: string[] }> => {
  const files: string[] = []
  const folders: string[] = []
  let entries = 0
  for await (const entry of await opendir(folder)) {
    if (++entries > mostEntries) break
    if (entry.name.startsWith('.')) continue
    if (entry.isDirectory() || (entry.isSymbolicLink() && !/\.(key|pem|crt|cer)$/.test(entry.name))) folders.push(entry.name)
    else files.push(entry.name)
  }
  return { files: files.sort(), folders: folders.sort() }
}

const read = async (path: string): Promise<string> => {
  let file: FileHandle | undefined
  try {
    // A pipe is not waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = await file.stat()
    if (!found.isFile()) throw Object.assign(new Error(), { code: 'not a regular file' })
    const { bytesRead, buffer } = await file.read(Buffer.alloc(largestFile + 1), 0)
    if (bytesRead > largestFile) throw Object.assign(new Error(), { code: `larger than ${largestFile} bytes` })
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file?.close()
  }
}

const unreadable = (error: unknown): string => `can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`

interface ApplyDeps extends ResourceDeps {
  log: Log
  clock: Clock
}

/** Makes KeyPairs of what the folder holds. */
export const applyCertificateFolder = async (deps: ApplyDeps, folder: string): Promise<void> => {
  const { pairs, faults } = await readCertificateFolder(folder)
  const manifests = pairs.map(({ name, certificate, privateKey }) => ({
    apiVersion,
    kind: 'KeyPair',
    metadata: { name, namespace: defaultNamespace },
    spec: { certificate, privateKey },
  }))
  const results = await applyDocuments(deps, manifests, { actor }, deps.clock())
  const refused = results.flatMap(({ errors }, index) =>
    errors.map(({ pointer, detail }) => ({ file: pairs[index]?.file ?? '', detail: `${nouns[pointer] ?? pointer} ${detail}`.trim() })),
  )
  const changed = results.filter(({ result }) => result === 'created' || result === 'configured').length
  if (changed) deps.log.info({ event: 'certificates.applied', changed }, 'certificates applied')
  for (const fault of [...faults, ...refused].slice(0, 100)) await tell(deps, fault)
}

const nouns: Record<string, string> = {
  '/metadata/name': 'its name',
  '/spec/certificate': 'the certificate',
  '/spec/privateKey': 'the private key',
}

const tell = async ({ db, log, clock }: ApplyDeps, { file, detail }: CertificateFault): Promise<void> => {
  log.warn({ event: 'configuration.error', file, detail }, 'a certificate is refused')
  await recordEvent(
    db,
    { action: 'configuration.error', severity: 'error', actor, target: { kind: 'Certificate', name: file }, data: { file, detail } },
    clock(),
  )
}

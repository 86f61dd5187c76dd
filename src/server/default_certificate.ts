/** The certificate for names that no KeyPair has: made once, signed by itself, kept in DATA_DIR. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { pairProblem, parseChain, pemBlocks } from '#/lib/certificate.ts'
import type { Log } from '#/lib/log.ts'

export interface Pair {
  /** PEM, the chain. */
  certificate: string
  /** PEM */
  privateKey: string
}

const day = 86_400_000
const validDays = 3_650
const renewedBefore = 30 * day

interface DefaultCertificateOptions {
  dataDir: string
  /** What it is to be for, beside this machine's own. */
  host: string
  log: Log
}

/** The kept one, or a new one where there is none or it is nearly over. Where DATA_DIR can't be written it serves this process alone. */
export const ensureDefaultCertificate = async ({ dataDir, host, log }: DefaultCertificateOptions, now: Date): Promise<Pair> => {
  const path = join(dataDir, 'default_certificate.pem')
  const kept = read(path, now)
  if (kept) return kept
  const made = await make(host, now)
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    return keep(path, made, now)
  } catch (error) {
    log.warn({ event: 'tls.default_certificate.not_kept', error: (error as Error).message }, 'a new one is made at the next start')
    return made
  }
}

const read = (path: string, now: Date): Pair | undefined => {
  try {
    const blocks = pemBlocks(readFileSync(path, 'utf8'))
    const pair = { certificate: blocks[1]?.pem ?? '', privateKey: blocks[0]?.pem ?? '' }
    const [first] = parseChain(pair.certificate)
    return first.validToDate.getTime() - now.getTime() > renewedBefore && !pairProblem(pair.certificate, pair.privateKey) ? pair : undefined
  } catch {
    return undefined
  }
}

/** Readable by its owner alone from the first moment. Two makers end up with the same one, unless what is there is of no use. */
const keep = (path: string, made: Pair, now: Date): Pair => {
  const unfinished = `${path}.${process.pid}.unfinished`
  writeFileSync(unfinished, `${made.privateKey.trim()}\n${made.certificate.trim()}\n`, { mode: 0o600 })
  try {
    linkSync(unfinished, path)
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const theirs = read(path, now)
    if (theirs) return theirs
    renameSync(unfinished, path)
    return made
  } finally {
    rmSync(unfinished, { force: true })
  }
}

const make = async (host: string, now: Date): Promise<Pair> => {
  await import('reflect-metadata')
  const { BasicConstraintsExtension, ExtendedKeyUsageExtension, PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const names = [...new Set([host, 'localhost', '127.0.0.1', '::1'])]
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Signet default certificate',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + validDays * day),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }))),
    ],
  })
  return {
    certificate: certificate.toString('pem'),
    privateKey: PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
  }
}

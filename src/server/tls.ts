/** TLS, put together: the certificates of the folder and the default one serve from the first moment, KeyPairs as soon as the database is there. */
import type { Server } from 'node:http'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import { type CertificateFolder, readCertificateFolder } from '#/resources/certificate_folder.ts'
import { type KeyPairSource, openCertificates } from './certificates.ts'
import { ensureDefaultCertificate } from './default_certificate.ts'
import { openTlsListener, type TlsListener } from './tls_listener.ts'

export interface Tls {
  port: number
  /** Resolves when the KeyPairs there are now are served. */
  follow(source: KeyPairSource): Promise<() => void>
  close: TlsListener['close']
}

export interface TlsOptions {
  settings: Settings
  log: Log
  clock: Clock
  http1: Server
  handle: Parameters<typeof openTlsListener>[0]['handle']
}

export const openTls = async ({ settings, log, clock, http1, handle }: TlsOptions): Promise<Tls> => {
  const host = new URL(settings.BASE_URL).hostname.replace(/^\[|\]$/g, '')
  const folder = await readFolder(settings)
  for (const fault of folder.faults) log.warn({ event: 'tls.certificate.refused', ...fault }, 'this certificate is not served')
  const certificates = openCertificates({
    fallback: await ensureDefaultCertificate({ dataDir: settings.DATA_DIR, host, log }, clock()),
    pairs: new Map(folder.pairs.map(({ name, certificate, privateKey }) => [`default/${name}`, { certificate, privateKey }])),
    host,
    log,
    clock,
  })
  const listener = openTlsListener({ http1, handle, certificates })
  const { port } = await listener.listen(settings.TLS_PORT ?? 0, settings.HOST)
  return {
    port,
    follow: certificates.follow,
    close: listener.close,
  }
}

const readFolder = async ({ CERTS_DIR }: Settings): Promise<CertificateFolder> =>
  CERTS_DIR === undefined ? { pairs: [], faults: [] } : readCertificateFolder(CERTS_DIR)

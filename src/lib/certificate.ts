/** Certificates as PEM: which chain, which names, and whether a key belongs to it. Nothing here trusts a certificate; it only reads it. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'

const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g
const mostCertificates = 10
/** Bits of RSA. Below, it can be broken (RFC 9325 section 4.5); above, each handshake of a stranger would cost more than it costs them. */
const smallestRsa = 2_048
const largestRsa = 4_096

/** The blocks of a PEM text, each with its label. */
export const pemBlocks = (text: string): { label: string; pem: string }[] =>
  [...text.matchAll(block)].map(([pem, label = '']) => ({ label, pem }))

/** The chain, the certificate itself first. Throws in plain words; a key in it is refused, since it would be kept and shown as the certificate is. */
export const parseChain = (pem: string): [X509Certificate, ...X509Certificate[]] => {
  const blocks = pemBlocks(pem)
  if (pem.split('-----BEGIN ').length - 1 !== blocks.length) throw new Error('holds a block of PEM that does not end')
  const other = blocks.find(({ label }) => label !== 'CERTIFICATE')
  if (other) throw new Error(`wants certificates alone, and holds a block ${other.label}`)
  if (blocks.length > mostCertificates) throw new Error(`holds more than ${mostCertificates} certificates`)
  const [first, ...rest] = blocks.map(({ pem: one }, index) => {
    try {
      return new X509Certificate(one)
    } catch {
      throw new Error(`holds a certificate that can't be read, the ${index + 1}. of it`)
    }
  })
  if (!first) throw new Error('wants certificates as PEM, the one of the server first')
  checkSize(first.publicKey)
  return [first, ...rest]
}

/** Throws in plain words, which hold nothing of the key. */
export const parsePrivateKey = (pem: string): KeyObject => {
  if (pem.includes('ENCRYPTED')) throw new Error('is encrypted: it is wanted without a password')
  const key = readPrivateKey(pem)
  checkSize(key)
  return key
}

const readPrivateKey = (pem: string): KeyObject => {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error('wants one private key as PEM')
  }
}

const checkSize = ({ asymmetricKeyDetails }: KeyObject): void => {
  const bits = asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && (bits < smallestRsa || bits > largestRsa))
    throw new Error(`has a key of ${bits} bits: RSA is taken with ${smallestRsa} to ${largestRsa}`)
}

/** Tells public keys apart, that of a certificate and that of its private key alike. */
export const fingerprintOf = (key: KeyObject): Buffer =>
  createHash('sha256')
    .update((key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' }))
    .digest()

/** Why OpenSSL would not serve this pair; undefined when it would. */
export const pairProblem = (certificate: string, privateKey: string): string | undefined => {
  // Loaded where it is needed: every process knows the kinds, and few of them certificates.
  const { createSecureContext } = process.getBuiltinModule('node:tls')
  try {
    createSecureContext({ cert: certificate, key: privateKey })
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' ? 'does not belong to the certificate' : `can't be used (${reasonIn(message)})`
  }
}

const reasonIn = (message: string): string => message.split(':').at(-1)?.slice(0, 100) ?? ''

export interface CertificateNames {
  /** Lower case; `*.example.com` stands for one label more. */
  dns: string[]
  /** As `canonicalAddress` writes them. */
  ip: string[]
}

/** What a client may have asked for to be content with it (RFC 9525 section 2): its subjectAltName alone. */
export const namesOf = ({ subjectAltName = '' }: X509Certificate): CertificateNames => {
  const names: CertificateNames = { dns: [], ip: [] }
  // Node quotes a name that holds what could be read as the beginning of another.
  for (const [, kind, value = ''] of subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    if (kind === 'DNS' && /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(value)) names.dns.push(value.toLowerCase())
    if (kind === 'IP Address' && isIP(value)) names.ip.push(canonicalAddress(value))
  }
  return { dns: [...new Set(names.dns)], ip: [...new Set(names.ip)] }
}

/** One spelling for each address. */
export const canonicalAddress = (address: string): string =>
  isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address

/** An authority of certificates that nobody knows, and servers' certificates from it. */
import 'reflect-metadata'
import { isIP } from 'node:net'
import { BasicConstraintsExtension, PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 86_400_000

const makeKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])

/** `today` lies within the 31 days of all its certificates. */
export const makeAuthority = async (today: Date) => {
  const rootKeys = await makeKeys()
  const dates = { notBefore: new Date(today.getTime() - day), notAfter: new Date(today.getTime() + 30 * day) }
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Own Root',
    keys: rootKeys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
    ...dates,
  })
  return {
    /** PEM */
    ca: root.toString('pem'),
    /** A certificate for names, and its key, both as PEM. */
    issue: async (name: string, ...more: string[]): Promise<{ cert: string; key: string }> => {
      const keys = await makeKeys()
      const leaf = await X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: root.subject,
        publicKey: keys.publicKey,
        signingKey: rootKeys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new SubjectAlternativeNameExtension([name, ...more].map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }))),
        ],
        ...dates,
      })
      return {
        cert: leaf.toString('pem'),
        key: PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
      }
    },
  }
}

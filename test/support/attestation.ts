/** A maker of authenticators: a root, and keys of its models that attest what they are (WebAuthn section 8.2.1). */
import 'reflect-metadata'
import { BasicConstraintsExtension, type X509Certificate, X509CertificateGenerator } from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 86_400_000

const makeKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])

export const makeMaker = async (name: string, today: Date) => {
  const rootKeys = await makeKeys()
  const dates = { notBefore: new Date(today.getTime() - day), notAfter: new Date(today.getTime() + 30 * day) }
  const root = await X509CertificateGenerator.createSelfSigned({
    name: `C=XX, O=${name}, CN=${name} Root`,
    keys: rootKeys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
    ...dates,
  })
  const issue = async (more: Partial<typeof dates> = {}) => {
    const keys = await makeKeys()
    const leaf: X509Certificate = await X509CertificateGenerator.create({
      subject: `C=XX, O=${name}, OU=Authenticator Attestation, CN=${name} Key`,
      issuer: root.subject,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [new BasicConstraintsExtension(false, undefined, true)],
      ...dates,
      ...more,
    })
    const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
    return { chain: [new Uint8Array(leaf.rawData)], key }
  }
  return { root: root.toString('pem'), rootDer: new Uint8Array(root.rawData), issue }
}

/**
 * Which passkeys may be registered. Who wants to know the make of an authenticator says whose word counts: an AAGUID is a claim of the
 * authenticator, and only a chain of certificates up to a root of its maker turns the claim into more.
 */
import { X509Certificate } from 'node:crypto'

export interface PasskeyPolicy {
  /** `required`: only with PIN, finger or face. Default: as the authenticator can. */
  userVerification?: 'preferred' | 'required' | undefined
  /** `required`: only ones that sign in without a name being typed. */
  residentKey?: 'preferred' | 'required' | undefined
  attestation?: AttestationPolicy | undefined
}

export type AttestationPolicy = { conveyance: 'none' } | { conveyance: 'direct'; roots: readonly string[]; aaguids: readonly string[] }

const longestChain = 6

/**
 * What speaks against the chain, leaf first; undefined: it leads to one of the roots (PEM). Revocation is not asked for: that would call
 * addresses which a certificate names.
 */
export const findChainFault = (chain: readonly Uint8Array[], roots: readonly string[], now: Date): string | undefined => {
  if (chain.length === 0) return 'the attestation has no certificates'
  if (chain.length > longestChain) return 'the attestation has too many certificates'
  const certificates = chain.map((der) => new X509Certificate(der))
  const anchors = roots.map((pem) => new X509Certificate(pem))
  if (!certificates.every((certificate) => isCurrent(certificate, now))) return 'a certificate of the attestation is not of this time'
  if (!certificates.slice(1).every((certificate) => certificate.ca)) return 'a certificate of the attestation is not one of an authority'
  const isChained = certificates.slice(1).every((issuer, index) => isIssuedBy(certificates[index], issuer))
  if (!isChained) return 'the certificates of the attestation are not a chain'
  const last = certificates.at(-1)
  const isAnchored = anchors.some(
    (anchor) => isCurrent(anchor, now) && (last?.fingerprint256 === anchor.fingerprint256 || isIssuedBy(last, anchor)),
  )
  return isAnchored ? undefined : 'the attestation does not lead to a root that is trusted'
}

const isCurrent = ({ validFromDate, validToDate }: X509Certificate, now: Date): boolean => validFromDate <= now && now <= validToDate

const isIssuedBy = (certificate: X509Certificate | undefined, issuer: X509Certificate): boolean =>
  certificate?.checkIssued(issuer) === true && certificate.verify(issuer.publicKey)

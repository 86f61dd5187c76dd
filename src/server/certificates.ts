/**
 * Which certificate a connection gets: that of a KeyPair by the name the client asks for, the exact name before a wildcard, a valid one before one
 * that is over, the newer before the older; else the default one. A pair that can't be read leaves the one before it in its place.
 *
 * Whoever may make KeyPairs in one namespace must not get between people and the hosts of another: for a host that belongs to a namespace
 * (certificate_hosts.ts) only pairs of that one and of the administrators' count.
 */
import type { SecureContext } from 'node:tls'
import { canonicalAddress, namesOf, parseChain } from '#/lib/certificate.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { findPrivateKey } from '#/resources/key_pairs.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import { administrators, hostOwners } from './certificate_hosts.ts'
import type { Pair } from './default_certificate.ts'
import { tlsSettings } from './tls_settings.ts'

export interface Certificates {
  /** Undefined: the default one. */
  contextFor(name: string): SecureContext | undefined
  /** For clients that ask for no name, as those do that know an address only. */
  unnamed(): { cert: string; key: string }
  onChange(heard: () => void): () => void
  /** Takes the KeyPairs that are in force from now on. Resolves when those there are now are served. */
  follow(source: KeyPairSource): Promise<() => void>
}

export interface KeyPairSource {
  db: Db
  rootSecret: Secret
  snapshot: Pick<Snapshot, 'list' | 'onChange'>
}

export interface CertificatesOptions {
  /** Serves what no other pair does. */
  fallback: Pair
  /** Served until a KeyPair of the same name (`namespace/name`) is there. */
  pairs: ReadonlyMap<string, Pair>
  /** Of BASE_URL. */
  host: string
  log: Log
  clock: Clock
}

interface Served {
  pair: Pair
  namespace: string
  version: string
  context: SecureContext
  names: ReadonlySet<string>
  validFrom: number
  validTo: number
}

/** A KeyPair whose key could not be read, as while the database is away; longer with each time. */
const againAfterMs = 5_000
const againAtLastMs = 300_000

export const openCertificates = ({ fallback, pairs, host, log, clock }: CertificatesOptions): Certificates => {
  const served = new Map<string, Served>()
  const listeners = new Set<() => void>()
  let byName = new Map<string, Served[]>()
  let owners: ReadonlyMap<string, string> = new Map()

  const index = () => {
    byName = new Map()
    for (const one of served.values()) for (const name of one.names) byName.set(name, [...(byName.get(name) ?? []), one])
    for (const list of byName.values()) list.sort((a, b) => b.validFrom - a.validFrom)
    for (const heard of listeners) heard()
  }

  /** The namespace whose pairs are shown for it, beside the administrators'; undefined where those of any are. */
  const ownerOf = (name: string): string | undefined => (name === host ? administrators : owners.get(name))

  /** Of several the newest that is valid now. */
  const best = (name: string, owner: string | undefined): Served | undefined => {
    const mayShow = ({ namespace }: Served) => owner === undefined || namespace === owner || namespace === administrators
    const list = byName.get(name)?.filter(mayShow)
    if (!list) return undefined
    const now = clock().getTime()
    return list.find(({ validFrom, validTo }) => validFrom <= now && now < validTo) ?? list[0]
  }

  const find = (asked: string): Served | undefined => {
    const name = canonicalAddress(asked.toLowerCase().replace(/\.$/, ''))
    const dot = name.indexOf('.')
    const owner = ownerOf(name)
    // A wildcard stands for one whole label (RFC 9525 section 6.3).
    return best(name, owner) ?? (dot > 0 ? best(`*${name.slice(dot)}`, owner) : undefined)
  }

  for (const [key, pair] of pairs) {
    try {
      served.set(key, open(pair, { namespace: administrators, version: '' }))
    } catch (error) {
      log.warn({ event: 'tls.certificate.refused', name: key, error: (error as Error).message }, 'this certificate is not served')
    }
  }
  index()

  return {
    contextFor: (name) => find(name)?.context,
    unnamed: () => {
      const ofAddress = ({ namespace, names }: Served) => namespace === administrators && [...names].some(isAddress)
      const pair = (find(host) ?? [...served.values()].find(ofAddress))?.pair ?? fallback
      return { cert: pair.certificate, key: pair.privateKey }
    },
    onChange: (heard) => {
      listeners.add(heard)
      return () => listeners.delete(heard)
    },
    follow: async ({ db, rootSecret, snapshot }) => {
      let running: Promise<void> | undefined
      let isStale = false
      let again: NodeJS.Timeout | undefined
      let stopped = false
      let failures = 0
      /** What is served is not what was told yet. */
      let changed = false

      const load = async (): Promise<void> => {
        clearTimeout(again)
        const present = snapshot.list('KeyPair')
        owners = hostOwners(snapshot)
        let hasFailed = false
        for (const { metadata, spec } of present) {
          const key = `${metadata.namespace}/${metadata.name}`
          if (served.get(key)?.version === metadata.resourceVersion) continue
          try {
            const privateKey = await findPrivateKey(db, rootSecret, metadata, spec.certificate)
            if (!privateKey) throw new Error('its private key is gone')
            const pair = { certificate: spec.certificate, privateKey: privateKey.reveal() }
            served.set(key, open(pair, { namespace: metadata.namespace, version: metadata.resourceVersion }))
            changed = true
          } catch (error) {
            log.error({ event: 'tls.key_pair.failed', name: key, error: (error as Error).message }, 'the one before it is served on')
            hasFailed = true
          }
        }
        failures = hasFailed ? failures + 1 : 0
        if (hasFailed) later()
        const keys = new Set(present.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`))
        for (const [key, { version }] of served)
          if (version !== '' && !keys.has(key)) {
            served.delete(key)
            changed = true
          }
        if (!changed) return
        index()
        changed = false
      }
      const later = () => {
        if (!stopped) again = setTimeout(refresh, Math.min(againAfterMs * 2 ** (failures - 1), againAtLastMs)).unref()
      }
      const loadAll = async (): Promise<void> => {
        try {
          while (isStale && !stopped) {
            isStale = false
            await load()
          }
        } catch (error) {
          log.error({ event: 'tls.certificates.failed', error: (error as Error).stack }, 'those before are served on')
          failures++
          later()
        } finally {
          // Before anyone else has a turn, so that no change comes in between unseen.
          running = undefined
        }
      }
      const refresh = () => {
        isStale = true
        running ??= loadAll()
        return running
      }

      const unheard = snapshot.onChange(refresh)
      await refresh()
      return () => {
        stopped = true
        clearTimeout(again)
        unheard()
      }
    },
  }
}

const isAddress = (name: string): boolean => name.includes(':') || /^[\d.]+$/.test(name)

const open = (pair: Pair, place: Pick<Served, 'namespace' | 'version'>): Served => {
  const { createSecureContext } = process.getBuiltinModule('node:tls')
  const [certificate] = parseChain(pair.certificate)
  const { dns, ip } = namesOf(certificate)
  return {
    pair,
    ...place,
    context: createSecureContext({ ...tlsSettings, cert: pair.certificate, key: pair.privateKey }),
    names: new Set([...dns, ...ip]),
    validFrom: certificate.validFromDate.getTime(),
    validTo: certificate.validToDate.getTime(),
  }
}

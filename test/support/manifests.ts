/** Manifests as tests apply them, and what comes of them. */
import assert from 'node:assert/strict'
import { findKind } from '#/kinds/index.ts'
import type { Resource } from '#/kinds/kind.ts'
import { type ApplyOptions, type ApplyResult, applyDocuments } from '#/resources/apply.ts'
import { findOne } from '#/resources/read.ts'
import type { Kernel } from './kernel.ts'

/** A client of namespace team-a; its AuthServer is `default`. */
export const client = (name: string, spec: object, extra: object = {}) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'AuthClient',
  metadata: { name, namespace: 'team-a', ...extra },
  spec: { authServerRef: { name: 'default', namespace: 'default' }, redirectUris: [`https://${name}.example.com/callback`], ...spec },
})

/** Selected by the AuthServer `default`, unless it has other labels. */
export const policy = (name: string, spec: object, labels: object = { 'signet.dev/auth-server': 'default' }) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'AuthPolicy',
  metadata: { name, namespace: 'default', labels },
  spec,
})

export const applyAs = (kernel: Kernel, source: string | unknown[], options: Partial<ApplyOptions>, at: Date): Promise<ApplyResult[]> =>
  applyDocuments(kernel, source, { actor: 'ada', ...options }, at)

export const findResource = ({ db }: Kernel, kind: string, namespace: string, name: string): Promise<Resource | undefined> => {
  const found = findKind(kind)
  assert.ok(found)
  return findOne(db, { kind: found, namespace, name })
}

export const readyOf = (status: Resource['status'] | undefined) => status?.conditions?.find(({ type }) => type === 'Ready')

export const outcomes = (results: ApplyResult[]): string[] => results.map(({ kind, name, result }) => `${kind} ${name} ${result}`)

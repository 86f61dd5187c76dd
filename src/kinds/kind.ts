/**
 * What a kind is. Each kind stands in one file of this folder and nowhere else: the command line, REST, the CRD, the reference
 * page and the forms of the console are all made from its definition.
 */
import type { z } from 'zod'

export const group = 'signet.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}` as const

/** Another resource that a spec names. Applying goes from the named to the naming. */
export interface Reference {
  kind: string
  namespace: string
  name: string
  /** Where in the resource it is named, `/spec/authServerRef`. */
  pointer: string
}

export interface Metadata {
  name: string
  namespace: string
  labels: Record<string, string>
  annotations: Record<string, string>
  /** Rises with each change of spec. */
  generation: number
  /** Changes with each change of anything; opaque, to be sent back unchanged. */
  resourceVersion: string
  creationTimestamp: string
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  /** CamelCase, for programs. */
  reason: string
  /** For people. */
  message: string
  lastTransitionTime: string
  observedGeneration: number
}

export interface Status {
  observedGeneration?: number
  conditions?: Condition[]
  [field: string]: unknown
}

/** A resource whose spec was checked and filled with defaults. */
export interface Resource<Spec = Record<string, unknown>> {
  apiVersion: typeof apiVersion
  kind: string
  metadata: Metadata
  spec: Spec
  status: Status
}

export interface Kind<Name extends string = string, Schema extends z.ZodType = z.ZodType> {
  kind: Name
  /** Lower case, the word in addresses. */
  plural: string
  singular: string
  /** For `kubectl get`. */
  shortName: string
  /** One paragraph for the reference page and the CRD. */
  summary: string
  /** Where its rows live. Users and groups have tables of their own, built for ten million rows. */
  storage: 'resources' | 'users' | 'groups'
  spec: Schema
  /** Fields of spec that are taken and never shown. */
  writeOnly: readonly string[]
  references: (spec: z.output<Schema>, namespace: string) => Reference[]
}

export const defineKind = <const Name extends string, Schema extends z.ZodType<{ paused: boolean }>>(definition: {
  kind: Name
  plural: string
  shortName: string
  summary: string
  storage?: Kind['storage']
  spec: Schema
  writeOnly?: readonly string[]
  references?: Kind<Name, Schema>['references']
}): Kind<Name, Schema> => ({
  storage: 'resources',
  writeOnly: [],
  references: () => [],
  singular: definition.kind.toLowerCase(),
  ...definition,
})

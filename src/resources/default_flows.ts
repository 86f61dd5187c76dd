/** The flows that we ship: manifests of the first start, and what stands in for one of them that is gone. */
import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { Flow, type FlowSpec } from '#/kinds/flow.ts'

const file = new URL('default_flows.yaml', import.meta.url)

/** As they are written, to be applied. */
export const defaultFlowManifests = (): { kind: 'Flow'; metadata: { name: string; namespace: string }; spec: unknown }[] =>
  parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS())

/** By the name of the resource, checked and with their defaults. */
export const defaultFlows = (): ReadonlyMap<string, FlowSpec> =>
  new Map(defaultFlowManifests().map(({ metadata, spec }) => [metadata.name, Flow.spec.parse(spec)]))

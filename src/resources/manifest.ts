/** Manifests as text: YAML of several documents, or JSON (a part of YAML 1.2). Remembers on which line each field stands. */
import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml'
import { Problem } from '#/lib/problem.ts'
import { isObject } from './json.ts'

export interface ManifestError {
  pointer: string
  detail: string
  line?: number
}

export interface Manifest {
  /** Undefined when it can't be read; `errors` says why. */
  value: unknown
  errors: ManifestError[]
  /** Line, from 1, of what a JSON pointer names, or of the nearest thing around it. */
  lineOf(pointer: string): number | undefined
}

export const largestText = 4 * 1_024 * 1_024
export const mostDocuments = 5_000
/** An alias of an alias of … grows without bound (billion laughs); this many uses in one document are allowed. */
const mostAliases = 100

/** Throws Problem `too_large`. What can't be read is a manifest with errors. Empty documents are left out; the items of a `kind: List` stand for themselves. */
export const parseManifests = (text: string): Manifest[] => {
  if (Buffer.byteLength(text) > largestText) throw new Problem('too_large', { detail: `manifests may have at most ${largestText} bytes` })
  const lines = new LineCounter()
  let documents: Document[]
  try {
    const parsed = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, logLevel: 'silent' })
    // An empty stream is an object of its own, with nothing to apply.
    documents = Array.isArray(parsed) ? parsed : []
  } catch (error) {
    return [unreadable(`can't be read: ${(error as Error).message.split('\n')[0]}`)]
  }
  const manifests = documents.flatMap((document) => readDocument(document, lines))
  if (manifests.length > mostDocuments) throw new Problem('too_large', { detail: `at most ${mostDocuments} documents at once` })
  return manifests
}

/** Manifests that came as values, without lines. */
export const manifestsOf = (values: readonly unknown[]): Manifest[] => {
  if (values.length > mostDocuments) throw new Problem('too_large', { detail: `at most ${mostDocuments} documents at once` })
  return values.flatMap((value) => expand({ value, errors: [], lineOf: () => undefined }))
}

const unreadable = (detail: string, line?: number): Manifest => ({
  value: undefined,
  errors: [{ pointer: '', detail, ...(line === undefined ? {} : { line }) }],
  lineOf: () => line,
})

const readDocument = (document: Document, lines: LineCounter): Manifest[] => {
  const mistakes = [...document.errors, ...document.warnings]
  if (mistakes.length)
    return [
      {
        ...unreadable(''),
        errors: mistakes.slice(0, 100).map(({ message, pos }) => ({
          pointer: '',
          detail: message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? 'is not YAML',
          line: lines.linePos(pos[0]).line,
        })),
      },
    ]
  if (document.contents === null) return []
  const line = isNode(document.contents) && document.contents.range ? lines.linePos(document.contents.range[0]).line : undefined
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: mostAliases })
    // Times, sets and the like have no place in JSON.
    value = JSON.parse(JSON.stringify(value ?? null)) as unknown
  } catch (error) {
    return [unreadable(`can't be read: ${(error as Error).message.split('\n')[0]}`, line)]
  }
  if (value === null) return []
  return expand({ value, errors: [], lineOf: (pointer) => lineIn(document, lines, pointer) })
}

/** `kind: List` as kubectl writes it. */
const expand = (manifest: Manifest): Manifest[] => {
  const { value, lineOf } = manifest
  if (!isObject(value) || value.kind !== 'List' || !Array.isArray(value.items)) return [manifest]
  return value.items.map((item, index) => ({ value: item, errors: [], lineOf: (pointer) => lineOf(`/items/${index}${pointer}`) }))
}

const lineIn = (document: Document, lines: LineCounter, pointer: string): number | undefined => {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return undefined
}

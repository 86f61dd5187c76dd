/** Manifests as text: YAML of several documents, or JSON (a part of YAML 1.2). Remembers on which line each field stands. */
import { Composer, type Document, isNode, isScalar, Lexer, LineCounter, Parser, visit } from 'yaml'
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
/** Brackets or indentations within one another: deeper, and the library ends at the bottom of its stack. Two stand for a level of ours. */
const deepest = 200

/** Throws Problem `too_large`. What can't be read is a manifest with errors. Empty documents are left out; the items of a `kind: List` stand for themselves. */
export const parseManifests = (text: string): Manifest[] => {
  if (Buffer.byteLength(text) > largestText) throw new Problem('too_large', { detail: `manifests may have at most ${largestText} bytes` })
  const lines = new LineCounter()
  let documents: Document[]
  try {
    documents = readStream(text, lines)
  } catch (error) {
    if (error instanceof Problem) throw error
    return [unreadable(`can't be read: ${(error as Error).message.split('\n')[0]}`)]
  }
  const manifests = documents.flatMap((document) => readDocument(document, lines))
  if (manifests.length > mostDocuments) throw tooMany()
  return manifests
}

/** Document by document, so that what is too much is left before it is all built. */
const readStream = (text: string, lines: LineCounter): Document[] => {
  const parser = new Parser(lines.addNewLine)
  lines.addNewLine(0)
  const tokens = function* () {
    for (const lexeme of new Lexer().lex(text)) {
      yield* parser.next(lexeme)
      if (parser.stack.length > deepest) throw new Error('it is nested too deep')
    }
    yield* parser.end()
  }
  const documents: Document[] = []
  // The library compares each key with each other one, which takes minutes for what fits into a request: `repeatedKeys` counts them.
  for (const document of new Composer({ uniqueKeys: false, logLevel: 'silent' }).compose(tokens())) {
    documents.push(document)
    if (documents.length > mostDocuments) throw tooMany()
  }
  return documents
}

const tooMany = () => new Problem('too_large', { detail: `at most ${mostDocuments} documents at once` })

/** Where a key stands that its mapping has already. */
const repeatedKeys = (document: Document): { message: string; pos: readonly [number, number] }[] => {
  const found: { message: string; pos: readonly [number, number] }[] = []
  visit(document, {
    Map: (_key, { items }) => {
      const keys = new Set<unknown>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        // As JSON has them: 1 and "1" are one name.
        const name = String(key.value)
        if (keys.has(name)) found.push({ message: 'Map keys must be unique', pos: [key.range?.[0] ?? 0, 0] })
        keys.add(name)
      }
    },
  })
  return found
}

/** Manifests that came as values, without lines. */
export const manifestsOf = (values: readonly unknown[]): Manifest[] => {
  if (values.length > mostDocuments) throw tooMany()
  return values.flatMap((value) => expand({ value, errors: [], lineOf: () => undefined }))
}

const unreadable = (detail: string, line?: number): Manifest => ({
  value: undefined,
  errors: [{ pointer: '', detail, ...(line === undefined ? {} : { line }) }],
  lineOf: () => line,
})

const readDocument = (document: Document, lines: LineCounter): Manifest[] => {
  const mistakes = [...document.errors, ...document.warnings, ...repeatedKeys(document)]
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

/**
 * The text of manifests, read into what can go from thread to thread: for each document its JSON, and a tree of the lines on which its
 * parts stand. Both are text, so that whoever takes them unpacks one document at a time, and the lines only of one that is refused.
 */
import { Composer, type Document, isMap, isNode, isScalar, isSeq, Lexer, LineCounter, Parser, visit } from 'yaml'
import { isObject } from './json.ts'

export interface Mistake {
  pointer: string
  detail: string
  line?: number
}

/** Line of a node, and those of what is in it by name or place; of a scalar the line alone. */
export type Lines = number | [line: number, parts: Record<string, Lines> | Lines[]]

export interface DocumentText {
  /** JSON; undefined when it can't be read. */
  value: string | undefined
  /** `Lines` as JSON; empty when nothing is known. */
  lines: string
  mistakes: Mistake[]
}

export const mostDocuments = 5_000
/** No resource comes near: a spec has at most 256 KiB, and so have annotations. */
const largestDocument = 1_024 * 1_024
/** Of all documents as JSON: an alias stands for far more than itself. */
const largestValues = 16 * 1_024 * 1_024
/** Words, signs and blanks, as the library tells them apart. Its time grows with them, and not with the length of the text. */
const mostParts = 1_200_000
/** An alias of an alias of … grows without bound (billion laughs); this many uses in one document are allowed. */
const mostAliases = 100
/** Brackets or indentations within one another: deeper, and the library ends at the bottom of its stack. Two stand for a level of ours. */
const deepest = 200

/** Why the whole text is refused. */
export class TooMuch extends Error {}

/** What can't be read is a document with mistakes; empty ones are left out; the items of a list and of a `kind: List` stand for themselves. Throws TooMuch. */
export const readText = (text: string): DocumentText[] => {
  const counter = new LineCounter()
  let documents: Document[]
  try {
    documents = readStream(text, counter)
  } catch (error) {
    if (error instanceof TooMuch) throw error
    return [unreadable(`can't be read: ${(error as Error).message.split('\n')[0]}`)]
  }
  const read: DocumentText[] = []
  let size = 0
  for (const document of documents)
    for (const part of readDocument(document, counter)) {
      read.push(part)
      size += part.value?.length ?? 0
      if (read.length > mostDocuments) throw tooManyDocuments()
      if (size > largestValues) throw new TooMuch('the documents are too large together')
    }
  return read
}

export const tooManyDocuments = () => new TooMuch(`at most ${mostDocuments} documents at once`)

/** Document by document, so that what is too much is left before it is all built. */
const readStream = (text: string, counter: LineCounter): Document[] => {
  refuseManyParts(text)
  const parser = new Parser(counter.addNewLine)
  counter.addNewLine(0)
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
    if (documents.length > mostDocuments) throw tooManyDocuments()
  }
  return documents
}

/** To count them takes a twentieth of the time that building something of them does. */
const refuseManyParts = (text: string): void => {
  let parts = 0
  for (const _ of new Lexer().lex(text))
    if (++parts > mostParts) throw new TooMuch(`manifests may have at most ${mostParts} words and signs`)
}

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

const unreadable = (detail: string, line?: number): DocumentText => ({
  value: undefined,
  lines: line === undefined ? '' : JSON.stringify(line),
  mistakes: [{ pointer: '', detail, ...(line === undefined ? {} : { line }) }],
})

const readDocument = (document: Document, counter: LineCounter): DocumentText[] => {
  const mistakes = [...document.errors, ...document.warnings, ...repeatedKeys(document)]
  if (mistakes.length)
    return [
      {
        ...unreadable(''),
        mistakes: mistakes.slice(0, 100).map(({ message, pos }) => ({
          pointer: '',
          detail: message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? 'is not YAML',
          line: counter.linePos(pos[0]).line,
        })),
      },
    ]
  if (document.contents === null) return []
  const lines = linesOf(document.contents, counter, 1)
  try {
    const value: unknown = document.toJS({ maxAliasCount: mostAliases })
    if (value === null) return []
    // A list of resources, as programs send it, or one as kubectl writes it.
    return (Array.isArray(value) ? eachOf(value, lines) : [{ value, lines }]).flatMap(itemsOf).map((part) => render(part.value, part.lines))
  } catch (error) {
    return [unreadable(`can't be read: ${(error as Error).message.split('\n')[0]}`, lineAt(lines))]
  }
}

interface Part {
  value: unknown
  lines: Lines
}

const eachOf = (values: readonly unknown[], lines: Lines): Part[] =>
  values.map((value, index) => ({ value, lines: partOf(lines, String(index)) ?? lines }))

const itemsOf = ({ value, lines }: Part): Part[] =>
  isObject(value) && value.kind === 'List' && Array.isArray(value.items)
    ? eachOf(value.items, partOf(lines, 'items') ?? lines)
    : [{ value, lines }]

const render = (value: unknown, lines: Lines): DocumentText => {
  // Times, sets and the like have no place in JSON.
  const text = JSON.stringify(value ?? null)
  if (text.length > largestDocument) return unreadable(`is larger than ${largestDocument} bytes`, lineAt(lines))
  return { value: text, lines: JSON.stringify(lines), mistakes: [] }
}

const linesOf = (node: unknown, counter: LineCounter, around: number): Lines => {
  const line = isNode(node) && node.range ? counter.linePos(node.range[0]).line : around
  if (isSeq(node)) return [line, node.items.map((item) => linesOf(item, counter, line))]
  if (!isMap(node)) return line
  const parts: Record<string, Lines> = Object.create(null)
  for (const { key, value } of node.items) if (isScalar(key)) parts[String(key.value)] = linesOf(value, counter, line)
  return [line, parts]
}

const lineAt = (lines: Lines): number => (typeof lines === 'number' ? lines : lines[0])

const partOf = (lines: Lines, name: string): Lines | undefined => {
  if (typeof lines === 'number') return undefined
  const parts = lines[1]
  return Array.isArray(parts) ? parts[/^\d+$/.test(name) ? Number(name) : -1] : Object.hasOwn(parts, name) ? parts[name] : undefined
}

/** Line, from 1, of what a JSON pointer names, or of the nearest thing around it. */
export const findLine = (lines: Lines, pointer: string): number => {
  let nearest = lines
  for (const part of pointer.split('/').slice(1)) {
    const next = partOf(nearest, part.replaceAll('~1', '/').replaceAll('~0', '~'))
    if (next === undefined) break
    nearest = next
  }
  return lineAt(nearest)
}

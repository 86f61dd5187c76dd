/** Reads manifests from files, folders (every .yaml, .yml and .json in it, by name) and standard input, and remembers where each field stood. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml'

export interface ManifestDocument {
  value: unknown
  /** `file:line` of what a JSON pointer names, or of the nearest thing around it. */
  placeOf(pointer: string): string
}

/** What can't be read as YAML, each with its place. */
export class ManifestError extends Error {
  readonly mistakes: string[]
  constructor(mistakes: string[]) {
    super(mistakes.join('\n'))
    this.mistakes = mistakes
  }
}

export const readManifests = async (paths: readonly string[], standardInput: () => Promise<string>): Promise<ManifestDocument[]> => {
  const documents: ManifestDocument[] = []
  const mistakes: string[] = []
  for (const path of paths)
    for (const { file, text } of await sources(path, standardInput)) {
      const lines = new LineCounter()
      const parsed = parseAllDocuments(text, { lineCounter: lines, merge: true })
      // An empty stream is an object of its own, with nothing to apply.
      for (const document of Array.isArray(parsed) ? parsed : []) {
        for (const { message, pos } of document.errors) mistakes.push(`${file}:${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`)
        if (document.errors.length || document.contents === null) continue
        documents.push(...expand({ value: document.toJS({ maxAliasCount: 100 }), placeOf: placeIn(document, file, lines) }))
      }
    }
  if (mistakes.length) throw new ManifestError(mistakes)
  return documents
}

/** `kind: List` as kubectl writes it: the server answers for each of its items. */
const expand = (document: ManifestDocument): ManifestDocument[] => {
  const { kind, items } = (document.value ?? {}) as { kind?: unknown; items?: unknown }
  if (kind !== 'List' || !Array.isArray(items)) return [document]
  return items.map((value, index) => ({ value, placeOf: (pointer) => document.placeOf(`/items/${index}${pointer}`) }))
}

const sources = async (path: string, standardInput: () => Promise<string>): Promise<{ file: string; text: string }[]> => {
  if (path === '-') return [{ file: '-', text: await standardInput() }]
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => /\.(ya?ml|json)$/.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path]
  return files.map((file) => ({ file, text: readFileSync(file, 'utf8') }))
}

const placeIn = (document: Document, file: string, lines: LineCounter) => (pointer: string) => {
  const path = pointer.split('/').slice(1).map(unescapePart)
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true)
    if (isNode(node) && node.range) return `${file}:${lines.linePos(node.range[0]).line}`
  }
  return file
}

const unescapePart = (part: string): string | number => {
  const text = part.replaceAll('~1', '/').replaceAll('~0', '~')
  return /^\d+$/.test(text) ? Number(text) : text
}

export const readStandardInput = async (): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

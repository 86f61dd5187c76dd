/** Manifests as text: YAML of several documents, or JSON (a part of YAML 1.2). Remembers on which line each field stands. */
import { openPauses } from '#/lib/pauses.ts'
import { Problem } from '#/lib/problem.ts'
import { isObject } from './json.ts'
import { readElsewhere } from './manifest_reader.ts'
import {
  type DocumentText,
  findLine,
  type Lines,
  type Mistake,
  mostDocuments,
  readText,
  TooMuch,
  tooManyDocuments,
} from './manifest_text.ts'

export { mostDocuments }

export type ManifestError = Mistake

export interface Manifest {
  /** Undefined when it can't be read; `errors` says why. */
  value: unknown
  errors: ManifestError[]
  /** Line, from 1, of what a JSON pointer names, or of the nearest thing around it. */
  lineOf(pointer: string): number | undefined
}

export const largestText = 4 * 1_024 * 1_024
/** Up to here it is read on the spot, which takes a few milliseconds; what is larger would keep all other requests waiting. */
const largestOnTheSpot = 4 * 1_024

/**
 * Throws Problem `too_large`, and `unavailable` when too many are read. What can't be read is a manifest with errors. Empty documents are
 * left out; the items of a list and of a `kind: List` stand for themselves.
 */
export const parseManifests = async (text: string): Promise<Manifest[]> => {
  if (Buffer.byteLength(text) > largestText) throw new Problem('too_large', { detail: `manifests may have at most ${largestText} bytes` })
  try {
    return await unpack(text.length > largestOnTheSpot ? await readElsewhere(text) : readText(text))
  } catch (error) {
    if (error instanceof TooMuch) throw new Problem('too_large', { detail: error.message })
    throw error
  }
}

const unpack = async (documents: readonly DocumentText[]): Promise<Manifest[]> => {
  const manifests: Manifest[] = []
  const pause = openPauses()
  for (const { value, lines, mistakes } of documents) {
    manifests.push({
      value: value === undefined ? undefined : (JSON.parse(value) as unknown),
      errors: mistakes,
      lineOf: openLines(lines),
    })
    await pause()
  }
  return manifests
}

const openLines = (text: string) => {
  let lines: Lines | undefined
  return (pointer: string): number | undefined => {
    if (!text) return undefined
    lines ??= JSON.parse(text) as Lines
    return findLine(lines, pointer)
  }
}

/** Manifests that came as values, without lines. Throws Problem `too_large`. */
export const manifestsOf = (values: readonly unknown[]): Manifest[] => {
  if (values.length > mostDocuments) throw new Problem('too_large', { detail: tooManyDocuments().message })
  return values
    .flatMap((value) => (isObject(value) && value.kind === 'List' && Array.isArray(value.items) ? value.items : [value]))
    .map((value) => ({ value, errors: [], lineOf: () => undefined }))
}

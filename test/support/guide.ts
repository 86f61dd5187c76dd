/** Configuration out of a guide, so that what people are told to write is what a suite runs. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const guideText = (guide: string): string => readFileSync(`${root}docs/guides/${guide}.md`, 'utf8')

/** The blocks of one language that a guide of docs/guides has, in their order. */
export const blocksOf = (guide: string, language: string): string[] =>
  [...guideText(guide).matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)].filter((block) => block[1] === language).map((block) => block[2] ?? '')

/** Puts in what a reader would, everywhere it stands. Throws when the guide does not have it. */
export const fillIn = (text: string, values: Record<string, string>): string => {
  let filled = text
  for (const [name, value] of Object.entries(values)) {
    if (!filled.includes(name)) throw new Error(`the guide no longer says ${name}`)
    filled = filled.replaceAll(name, value)
  }
  return filled
}

/**
 * Liquid templates: ours, and an operator's that replace them file by file. Output is escaped unless a template says `raw`, filters that
 * do not exist are an error, and what a template may cost is bounded. A template of an operator's that is broken does not take sign-in
 * down: ours stands in, and the log names file and line.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Context, Liquid } from 'liquidjs'
import { type Clock, systemClock } from './clock.ts'

export interface Templates {
  /** `name` without its ending. */
  render(name: string, variables: object): string
  /** The first of the names that an operator has, else the first of ours; the last must be one of ours. Reads the disk. */
  renderNearest(names: readonly string[], variables: (found: { name: string; ours: boolean }) => object): string
}

/** What is wrong with a template of an operator's. */
export interface TemplateFault {
  template: string
  /** Undefined where Liquid does not know it. */
  file: string | undefined
  line: number | undefined
  reason: string
}

/** `{{ value | filter: a: 1 }}`; `read` looks a variable of the page up. */
export type Filter = (value: unknown, named: Record<string, unknown>, read: (variable: string) => unknown) => unknown

export interface TemplateOptions {
  /** Folder below templates/: `pages`, `email`. */
  kind: string
  /** TEMPLATES_DIR. */
  overrides?: string | undefined
  /** Default: everything a template puts out is escaped as HTML. */
  escape?: boolean
  /** Ours stands in. */
  onBroken: (fault: TemplateFault) => void
  clock?: Clock
  filters?: Record<string, Filter>
}

export const templatesFolder = fileURLToPath(new URL('../../templates/', import.meta.url))
/** A replaced file is seen this soon. */
const rereadMs = 5_000

const open = (roots: string[], { filters = {}, escape: escapes = true }: Pick<TemplateOptions, 'filters' | 'escape'>): Liquid => {
  const engine = new Liquid({
    root: roots,
    partials: roots,
    layouts: roots,
    extname: '.liquid',
    relativeReference: false,
    dynamicPartials: true,
    cache: true,
    ...(escapes ? { outputEscape: 'escape' as const } : {}),
    strictFilters: true,
    ownPropertyOnly: true,
    parseLimit: 1_000_000,
    renderLimit: 5_000,
    memoryLimit: 10_000_000,
  })
  for (const [name, filter] of Object.entries(filters)) {
    engine.registerFilter(name, function (this: { context: Context }, value: unknown, ...rest: unknown[]) {
      // Liquid hands named arguments over as pairs.
      const named = Object.fromEntries(rest.filter((pair): pair is [string, unknown] => Array.isArray(pair) && pair.length === 2))
      return filter(value, named, (variable) => this.context.getSync([variable]))
    })
  }
  return engine
}

const faultOf = (template: string, error: unknown): TemplateFault => {
  const { message, token } = error as Error & { token?: { file?: string; getPosition?: () => [number, number] } }
  return { template, file: token?.file, line: token?.getPosition?.()[0], reason: message.slice(0, 500) }
}

const find = (folder: string, names: readonly string[]): string | undefined => names.find((name) => existsSync(`${folder}/${name}.liquid`))

export const openTemplates = ({ kind, overrides, onBroken, clock = systemClock, ...options }: TemplateOptions): Templates => {
  const own = `${templatesFolder}${kind}`
  const ours = open([own], options)
  const renderBy = (engine: Liquid, name: string, variables: object): string =>
    engine.renderFileSync(`${name}.liquid`, variables, { globals: variables })
  const renderOurs: Templates['renderNearest'] = (names, variables) => {
    const name = find(own, names) ?? names.at(-1) ?? ''
    return renderBy(ours, name, variables({ name, ours: true }))
  }
  if (!overrides) return { render: (name, variables) => renderBy(ours, name, variables), renderNearest: renderOurs }

  const folder = `${overrides}/${kind}`
  let theirs = open([folder, own], options)
  let readAt = clock().getTime()
  const current = (): Liquid => {
    const age = clock().getTime() - readAt
    // Below nothing: the clock was set back.
    if (age > rereadMs || age < 0) {
      theirs = open([folder, own], options)
      readAt = clock().getTime()
    }
    return theirs
  }
  return {
    render: (name, variables) => {
      try {
        return renderBy(current(), name, variables)
      } catch (error) {
        onBroken(faultOf(name, error))
        return renderBy(ours, name, variables)
      }
    },
    renderNearest: (names, variables) => {
      const name = find(folder, names)
      const found = name ?? find(own, names) ?? ''
      try {
        return renderBy(current(), found, variables({ name: found, ours: name === undefined }))
      } catch (error) {
        onBroken(faultOf(found, error))
        return renderOurs(names, variables)
      }
    },
  }
}

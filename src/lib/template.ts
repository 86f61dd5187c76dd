/**
 * Liquid templates: ours, and an operator's that replace them file by file. Output is escaped unless a template says `raw`, filters that
 * do not exist are an error, and what a template may cost is bounded. A template of an operator's that is broken does not take sign-in
 * down: ours stands in, and the log names file and line.
 */
import { fileURLToPath } from 'node:url'
import { type Context, Liquid } from 'liquidjs'
import type { Log } from './log.ts'

export interface Templates {
  /** `name` without its ending. */
  render(name: string, variables: object): string
}

/** `{{ value | filter: a: 1 }}`; `read` looks a variable of the page up. */
export type Filter = (value: unknown, named: Record<string, unknown>, read: (variable: string) => unknown) => unknown

export interface TemplateOptions {
  /** Folder below templates/: `pages`, `email`. */
  kind: string
  /** TEMPLATES_DIR. */
  overrides?: string | undefined
  log: Log
  filters?: Record<string, Filter>
}

export const templatesFolder = fileURLToPath(new URL('../../templates/', import.meta.url))
/** A replaced file is seen this soon. */
const rereadMs = 5_000

const open = (roots: string[], filters: Record<string, Filter>): Liquid => {
  const engine = new Liquid({
    root: roots,
    partials: roots,
    layouts: roots,
    extname: '.liquid',
    relativeReference: false,
    dynamicPartials: true,
    cache: true,
    outputEscape: 'escape',
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

export const openTemplates = ({ kind, overrides, log, filters = {} }: TemplateOptions): Templates => {
  const own = `${templatesFolder}${kind}`
  const ours = open([own], filters)
  if (!overrides) return { render: (name, variables) => ours.renderFileSync(name, variables, { globals: variables }) }
  const roots = [`${overrides}/${kind}`, own]
  let theirs = open(roots, filters)
  let readAt = Date.now()
  return {
    render: (name, variables) => {
      if (Date.now() - readAt > rereadMs) {
        theirs = open(roots, filters)
        readAt = Date.now()
      }
      try {
        return theirs.renderFileSync(name, variables, { globals: variables })
      } catch (error) {
        log.error(
          { event: 'template.broken', template: name, reason: (error as Error).message.slice(0, 500) },
          'our own template stands in',
        )
        return ours.renderFileSync(name, variables, { globals: variables })
      }
    },
  }
}

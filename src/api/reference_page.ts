/** openapi.json for people: one page, no script, nothing from elsewhere. */
import { createHash } from 'node:crypto'
import type { JsonSchema, OpenApi, Operation } from './openapi_document.ts'

const style = `
:root{color-scheme:light dark;--line:light-dark(#d5d9e0,#3a3f4a);--soft:light-dark(#f4f6f9,#1d2027);--link:light-dark(#0b57d0,#8ab4f8)}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
a{color:var(--link)}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
code{font-family:ui-monospace,monospace;font-size:.92em;overflow-wrap:anywhere}
caption{text-align:left;font-weight:700;padding:.3rem 0}
th,td{overflow-wrap:anywhere}
summary{cursor:pointer;padding:.35rem .25rem}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:0 .6rem}
details[open]{background:var(--soft);padding-bottom:.6rem}
.method{display:inline-block;min-width:4.2rem;font-weight:700}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;vertical-align:top;border-top:1px solid var(--line);padding:.3rem .5rem}
nav ul{columns:14rem;padding-left:1.2rem}
`

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** Our texts mark code with backquotes. */
const prose = (text: string): string => escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')

interface Field {
  name: string
  type: string
  required: boolean
  description: string
}

const typeOf = (schema: JsonSchema | undefined): string => {
  if (!schema) return ''
  const {
    $ref,
    type,
    items,
    anyOf,
    enum: values,
    const: only,
    format,
  } = schema as {
    $ref?: string
    type?: string | string[]
    items?: JsonSchema
    anyOf?: JsonSchema[]
    enum?: unknown[]
    const?: unknown
    format?: string
  }
  if ($ref) return $ref.split('/').at(-1) ?? ''
  if (values) return values.map(String).join(' | ')
  if (only !== undefined) return String(only)
  if (anyOf) return anyOf.map(typeOf).join(' | ')
  if (type === 'array') return `${typeOf(items) || 'any'}[]`
  return [Array.isArray(type) ? type.join(' | ') : type, format].filter(Boolean).join(' ')
}

const fieldsOf = (schema: JsonSchema | undefined, prefix = '', depth = 0): Field[] => {
  const {
    properties = {},
    required = [],
    items,
  } = (schema ?? {}) as {
    properties?: Record<string, JsonSchema>
    required?: string[]
    items?: JsonSchema
  }
  if (items && depth > 0) return fieldsOf(items, `${prefix}[]`, depth)
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = prefix ? `${prefix}.${name}` : name
    const own = { name: path, type: typeOf(field), required: required.includes(name), description: String(field.description ?? '') }
    return depth < 3 ? [own, ...fieldsOf(field, path, depth + 1)] : [own]
  })
}

const table = (caption: string, fields: Field[]): string =>
  fields.length === 0
    ? ''
    : `<div class="scroll"><table><caption>${caption}</caption><thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">What</th></tr></thead><tbody>${fields
        .map(
          ({ name, type, required, description }) =>
            `<tr><td><code>${escapeHtml(name)}</code>${required ? ' *' : ''}</td><td>${escapeHtml(type)}</td><td>${prose(description)}</td></tr>`,
        )
        .join('')}</tbody></table></div>`

const renderOperation = (path: string, method: string, { summary, parameters, requestBody, responses, operationId }: Operation): string => {
  const given = parameters.map((parameter) => ({
    name: parameter.name,
    type: typeOf(parameter.schema),
    required: parameter.required,
    description: parameter.description ?? '',
  }))
  const [contentType, content] = Object.entries(requestBody?.content ?? {})[0] ?? []
  const body = content
    ? `<p>Body: <code>${escapeHtml(contentType ?? '')}</code> ${escapeHtml(typeOf(content.schema))}</p>${table('Body', fieldsOf(content.schema))}`
    : ''
  const answers = Object.entries(responses)
    .map(([status, { description, content: answer }]) => {
      const schema = Object.values(answer ?? {})[0]?.schema
      return `<li><b>${escapeHtml(status)}</b> ${prose(description)} ${escapeHtml(typeOf(schema))}</li>`
    })
    .join('')
  return `<details id="${escapeHtml(operationId)}"><summary><span class="method">${method.toUpperCase()}</span> <code>${escapeHtml(path)}</code> ${prose(summary)}</summary>${table('Parameters', given)}${body}<p>Answers</p><ul>${answers}</ul></details>`
}

export const renderReference = (document: OpenApi): { html: string; policy: string } => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const sections = document.tags
    .map(({ name, description }) => {
      const own = operations.filter(({ operation }) => operation.tags.includes(name))
      return `<h2 id="${escapeHtml(name)}">${escapeHtml(name)}</h2>${description ? `<p>${prose(description)}</p>` : ''}${own
        .map(({ path, method, operation }) => renderOperation(path, method, operation))
        .join('')}`
    })
    .join('')
  const schemas = Object.entries(document.components.schemas)
    .map(
      ([name, schema]) =>
        `<h2 id="schema-${escapeHtml(name)}">${escapeHtml(name)}</h2><p>${prose(String(schema.description ?? ''))}</p>${table('Fields', fieldsOf(schema))}`,
    )
    .join('')
  const index = document.tags.map(({ name }) => `<li><a href="#${escapeHtml(name)}">${escapeHtml(name)}</a></li>`).join('')
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Signet REST</title><style>${style}</style></head><body><h1>Signet REST</h1><p>${prose(document.info.description)}</p><p>For programs: <a href="openapi.json">openapi.json</a>.</p><nav aria-label="Parts"><ul>${index}</ul></nav><main>${sections}<h2>Shapes</h2>${schemas}</main></body></html>`
  const hash = createHash('sha256').update(style).digest('base64')
  return { html, policy: `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'` }
}

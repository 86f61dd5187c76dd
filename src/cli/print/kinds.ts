import { z } from 'zod'
import { crdSpecOf, isJsonObject, type Json, structuralOf } from '#/kinds/crd.ts'
import { stageSettings } from '#/kinds/flow_stages.ts'
import { kinds } from '#/kinds/index.ts'
import type { Kind } from '#/kinds/kind.ts'
import type { PrintedFile } from './printed_file.ts'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

const typeOf = (schema: Json): string => {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (schema.type === 'array') return `list of ${isJsonObject(schema.items) ? typeOf(schema.items) : 'anything'}`
  if (isJsonObject(schema.additionalProperties)) return `map of ${typeOf(schema.additionalProperties)}`
  return typeof schema.type === 'string' ? schema.type : 'text or object'
}

const rowsOf = (schema: Json, path: string): string[] => {
  if (!isJsonObject(schema.properties)) return []
  const required = Array.isArray(schema.required) ? schema.required : []
  return Object.entries(schema.properties).flatMap(([name, field]) => {
    if (!isJsonObject(field)) return []
    const here = path ? `${path}.${name}` : name
    const fallback = field.default === undefined ? (required.includes(name) ? 'needed' : '') : `\`${JSON.stringify(field.default)}\``
    const row = `| \`${here}\` | ${cell(typeOf(field))} | ${cell(fallback)} | ${cell(String(field.description ?? ''))} |`
    const below = field.type === 'array' && isJsonObject(field.items) ? rowsOf(field.items, `${here}[]`) : rowsOf(field, here)
    return [row, ...below]
  })
}

/** What a stage may say beside its name, each with the stage in front. */
const stagesTable = `
## Settings of stages

They stand beside the name of the stage: \`{ stage: user_login, sessionTTL: 8h }\`. Stages that are not listed have none.

| setting | type | default | meaning |
| --- | --- | --- | --- |
${Object.entries(stageSettings)
  .flatMap(([stage, settings]) => rowsOf(structuralOf(z.strictObject(settings)), stage))
  .join('\n')}
`

const page = (kind: Kind): string => `# ${kind.kind}

Printed from \`src/kinds/\` by \`npm run print\`.

${kind.summary}

In addresses \`${kind.plural}\`, for \`kubectl get\` also \`${kind.shortName}\`; apiVersion \`signet.dev/v1alpha1\`.

| field of spec | type | default | meaning |
| --- | --- | --- | --- |
${rowsOf(crdSpecOf(kind), '').join('\n')}
${kind.kind === 'Flow' ? stagesTable : ''}`

const index = (): string => `# Kinds

Printed from \`src/kinds/\` by \`npm run print\`. What is referred to stands before what refers to it.

| kind | what it is |
| --- | --- |
${Object.values(kinds)
  .map(({ kind, singular, summary }) => `| [${kind}](${singular}.md) | ${cell(summary)} |`)
  .join('\n')}
`

export const printKinds = (): PrintedFile[] => [
  ['docs/reference/kinds/README.md', index()],
  ...Object.values(kinds).map((kind): PrintedFile => [`docs/reference/kinds/${kind.singular}.md`, page(kind)]),
]

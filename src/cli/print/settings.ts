import { settingsTable } from '#/lib/config.ts'
import type { PrintedFile } from './printed_file.ts'

const cell = (text: string): string => text.replaceAll('|', '\\|')

export const printSettings = (): PrintedFile[] => {
  const rows = Object.entries(settingsTable).map(([name, { default: fallback, doc }]) => {
    const shown = fallback === undefined ? '' : fallback === '' ? 'none' : `\`${fallback}\``
    return `| \`SIGNET_${name}\` | ${shown} | ${cell(doc)} |`
  })
  const text = `# Settings

Printed from \`src/lib/config.ts\` by \`npm run print\`.

What a process needs to know before it can ask the database. Everything else is a resource.
Each is read from the environment, from the file that \`SIGNET_NAME_FILE\` names, or from a flag (\`SIGNET_DATA_DIR\` is \`--data-dir\`); a flag wins.
Names that do not exist, values that are wrong and folders to be read that are not there stop the start, all reported at once.

| name | default | meaning |
| --- | --- | --- |
${rows.join('\n')}
`
  return [['docs/reference/settings.md', text]]
}

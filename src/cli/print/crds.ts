import { stringify } from 'yaml'
import { crdOf } from '#/kinds/crd.ts'
import { kinds } from '#/kinds/index.ts'
import type { PrintedFile } from './printed_file.ts'

export const printCrds = (): PrintedFile[] =>
  Object.values(kinds).map((kind) => [
    `deploy/crds/${kind.plural}.yaml`,
    `# Printed from src/kinds/ by npm run print.\n${stringify(crdOf(kind), { lineWidth: 120, aliasDuplicateObjects: false })}`,
  ])

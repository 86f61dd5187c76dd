import { type ApiDeps, endpoints } from '#/api/index.ts'
import { describe } from '#/api/openapi.ts'
import type { PrintedFile } from './printed_file.ts'

/** The description that a server shows at /api/openapi.json, for those who make clients from it. */
export const printOpenApi = (): PrintedFile[] => {
  // What endpoints depend on is used when they are called, and here none is.
  const all = endpoints({} as ApiDeps)
  return [['docs/reference/openapi.json', `${JSON.stringify(describe(all, 'http://localhost:9000'), null, 2)}\n`]]
}

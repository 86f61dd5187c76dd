import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Prints what is loaded until an outpost serves. */
const program = `
import { registerHooks } from 'node:module'
const loaded = []
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
const at = (path) => import(new URL(path, ${JSON.stringify(new URL('../', import.meta.url).href)}))
await at('cli/outpost.ts')
await Promise.all([at('outpost/standalone.ts'), at('server/outpost.ts'), at('flow/pages.ts')])
console.log(loaded.join('\\n'))`

test('an outpost by itself loads nothing of databases, schemas and protocols', () => {
  const loaded = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  }).split('\n')
  assert.ok(loaded.some((url) => url.endsWith('/src/outpost/decision.ts')))
  const wrong = loaded.filter((url) =>
    /node_modules\/(?:pg|zod|fastify|oidc-provider|graphile-worker|jose)\/|\/src\/(?:api|oidc|portal|model|identity|events)\//.test(url),
  )
  assert.deepEqual(wrong, [])
})

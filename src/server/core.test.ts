import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { fastify } from 'fastify'
import { endpoints } from '#/api/index.ts'
import { describe } from '#/api/openapi.ts'
import { openPages } from '#/flow/pages.ts'
import { openLog } from '#/lib/log.ts'
import { type CoreDeps, coreRoutes } from './core.ts'

const routes = new Set<string>()

before(async () => {
  // A route takes what it depends on when it is called, and here none is.
  const deps = { log: openLog('silent'), pages: openPages({ log: openLog('silent') }) } as CoreDeps
  const app = fastify()
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') routes.add(`${one} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
  })
  await app.register(coreRoutes(deps))
  await app.ready()
  await app.close()
})

test('what answers below /api is what openapi.json describes', () => {
  const { paths } = describe(endpoints({} as CoreDeps), '')
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const served = [...routes].filter((route) => route.includes(' /api/'))
  // One route serves every kind, and each kind has a description of its own.
  const isOfKind = (route: string) => route.includes('/{plural}')
  const kinds = served
    .filter(isOfKind)
    .map((route) => new RegExp(`^${route.replaceAll(/[{}]/g, '\\$&').replace('\\{plural\\}', '[a-z]+')}$`))
  assert.deepEqual(described.filter((one) => !kinds.some((kind) => kind.test(one))).sort(), served.filter((one) => !isOfKind(one)).sort())
  for (const kind of kinds)
    assert.ok(
      described.some((one) => kind.test(one)),
      String(kind),
    )
})

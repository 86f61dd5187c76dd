import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Application } from '#/kinds/application.ts'
import type { Configuration } from './configuration.ts'
import { guardProblem } from './guard_problem.ts'
import type { ResourceOf } from './resource.ts'

const application = (name: string, externalUrl: string, more: object = {}, namespace = 'default'): ResourceOf<'Application'> =>
  ({
    metadata: { namespace, name, labels: {} },
    spec: Application.spec.parse({
      displayName: name,
      authServerRef: { name: 'default' },
      proxy: { mode: 'forward_single', externalUrl, ...more },
    }),
  }) as unknown as ResourceOf<'Application'>

const problemOf = (own: ResourceOf<'Application'>, older: ResourceOf<'Application'>[] = []) =>
  guardProblem(own, {
    byKind: new Map([['Application', [...older, own]]]) as unknown as Configuration['byKind'],
    clients: new Map() as unknown as Configuration['clients'],
    authServers: [
      { namespace: 'default', name: 'default', host: 'id.example', pathPrefix: '/staff' },
    ] as unknown as Configuration['authServers'],
  })

test('an application that is written right is open', () => {
  assert.equal(problemOf(application('a', 'https://wiki.example', { publicPaths: ['/health', '/static/.*'] })), undefined)
})

test('one public path that can not be taken closes it, and is named', () => {
  for (const pattern of ['(', 'a)|(.*', '(a*)*', '(?!x).*', '\\p{L}']) {
    const problem = problemOf(application('a', 'https://wiki.example', { publicPaths: ['/health', pattern] }))
    assert.equal(problem?.reason, 'PublicPathNotUnderstood', pattern)
    assert.match(problem?.message ?? '', /publicPaths\[1\]/)
  }
})

const taken: [own: string, older: string, isTaken: boolean][] = [
  ['https://wiki.example', 'https://wiki.example/', true],
  ['https://wiki.example', 'http://wiki.example', true],
  ['https://WIKI.example:443/a', 'https://wiki.example/a/', true],
  ['https://wiki.example/a', 'https://wiki.example/b', false],
  ['https://wiki.example:8443', 'https://wiki.example', false],
]
for (const [own, older, isTaken] of taken)
  test(`${own} is ${isTaken ? '' : 'not '}that of an older ${older}`, () => {
    assert.equal(problemOf(application('own', own), [application('older', older)])?.reason, isTaken ? 'ExternalUrlConflict' : undefined)
  })

const foreign: [own: string, older: string, isTaken: boolean][] = [
  ['https://wiki.example', 'https://wiki.example', true],
  ['https://wiki.example/admin', 'https://wiki.example', true],
  ['https://wiki.example', 'https://wiki.example/admin', true],
  ['http://WIKI.example/b', 'https://wiki.example/a', true],
  ['https://wiki.example:8443/b', 'https://wiki.example/a', false],
  ['https://wiki2.example', 'https://wiki.example', false],
]
for (const [own, older, isTaken] of foreign)
  test(`${own} is ${isTaken ? '' : 'not '}on the host of an older ${older} of another namespace`, () => {
    const problem = problemOf(application('own', own), [application('older', older, {}, 'elsewhere')])
    assert.equal(problem?.reason, isTaken ? 'ExternalUrlConflict' : undefined)
  })

const above: [url: string, isAbove: boolean][] = [
  ['https://id.example', true],
  ['https://id.example/staff', true],
  ['https://id.example/staff/wiki', false],
  ['https://id.example/stafford', false],
  ['https://id.example/wiki', false],
  ['https://other.example', false],
]
for (const [url, isAbove] of above)
  test(`an application at ${url} ${isAbove ? 'would take' : 'leaves'} what the AuthServer answers`, () => {
    assert.equal(problemOf(application('a', url))?.reason, isAbove ? 'ExternalUrlConflict' : undefined)
  })

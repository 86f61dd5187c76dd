/** An address that is there, asked by a method that it does not take: 405 with those it takes. One that is not stays 404. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Api, openApi } from '../../test/support/api.ts'

let api: Api
before(async () => {
  api = await openApi()
})
after(() => api.close())

const one = '/api/v1/namespaces/default'
const known: [method: string, path: string, allow: string][] = [
  ['PUT', '/api/v1/users', 'GET, HEAD, POST'],
  ['POST', '/api/v1/users/some', 'DELETE, GET, HEAD, PATCH'],
  ['GET', '/api/v1/users/some/password', 'POST'],
  ['GET', '/api/v1/apply', 'POST'],
  ['DELETE', `${one}/authclients`, 'GET, HEAD, POST'],
  ['POST', `${one}/authclients/app?x=/1`, 'DELETE, GET, HEAD, PATCH, PUT'],
  ['GET', `${one}/authclients/app/rotate-secret`, 'POST'],
  ['DELETE', '/api/v1/flows/authentication', 'GET, HEAD, POST'],
  ['POST', '/api/openapi.json', 'GET, HEAD'],
  ['OPTIONS', '/api/v1/me', 'GET, HEAD'],
]
for (const [method, path, allow] of known)
  test(`${method} ${path} is 405, and allows ${allow}`, async () => {
    for (const token of [undefined, null]) {
      const answer = await api.call<{ status: number }>(method, path, undefined, token === null ? { token } : {})
      assert.deepEqual([answer.status, answer.headers.allow, answer.body.status], [405, allow, 405])
      assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/)
    }
  })

const unknown: [method: string, path: string][] = [
  ['PUT', '/api/v1/nothing'],
  ['PUT', '/api/v1/users/'],
  ['PUT', '/api/v1'],
  ['PUT', '/api'],
  ['PUT', `${one}/bogus`],
  ['POST', `${one}/bogus/app`],
  ['POST', `${one}/authclients/Not%20a%20name`],
  ['DELETE', '/api/v1/users/%00'],
  ['DELETE', '/api/V1/users'],
]
for (const [method, path] of unknown)
  test(`${method} ${path} is 404`, async () => {
    const answer = await api.call(method, path)
    assert.deepEqual([answer.status, answer.headers.allow], [404, undefined])
  })

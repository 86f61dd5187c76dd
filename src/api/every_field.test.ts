/** A refusal names every bad field at once, whichever check it fails. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Api, openApi } from '../../test/support/api.ts'

interface Refusal {
  errors: { pointer: string }[]
}

let api: Api
let user: string
let group: string
before(async () => {
  api = await openApi()
  user = (await api.call<{ id: string }>('POST', '/api/v1/users', { username: 'ada' })).body.id
  group = (await api.call<{ id: string }>('POST', '/api/v1/groups', { name: 'makers' })).body.id
})
after(() => api.close())

const rows: [method: string, path: () => string, body: object, pointers: string[]][] = [
  ['PATCH', () => `/api/v1/users/${user}`, { bogus: 1, id: 'x', email: 'bad' }, ['/bogus', '/email', '/id']],
  ['PATCH', () => `/api/v1/groups/${group}`, { bogus: 1, id: 'x', name: '' }, ['/bogus', '/id', '/name']],
  ['POST', () => '/api/v1/groups', { name: 'new', members: ['ada', 'no'], parents: ['no'] }, ['/members/1', '/parents/0']],
  ['PATCH', () => `/api/v1/groups/${group}`, { members: ['no'], parents: ['no', 'makers'] }, ['/members/0', '/parents/0']],
  ['POST', () => `/api/v1/groups/${group}/members`, { add: ['no'], remove: ['ada', 'nor'] }, ['/add/0', '/remove/1']],
]
for (const [method, path, body, pointers] of rows)
  test(`${method} of ${JSON.stringify(body)} names ${pointers.join(', ')}`, async () => {
    const answer = await api.call<Refusal>(method, path(), body)
    assert.equal(answer.status, 422)
    assert.deepEqual(answer.body.errors.map(({ pointer }) => pointer).toSorted(), pointers)
  })

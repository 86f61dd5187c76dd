import assert from 'node:assert/strict'
import { validateHeaderValue } from 'node:http'
import { test } from 'node:test'
import type { Person } from './core.ts'
import { headerText, identityHeaders, isIdentityHeader, upstreamBasic } from './identity_headers.ts'
import type { Session } from './session.ts'
import { claimsOf } from './told_claims.ts'

const client = { name: 'Wiki', clientId: 'wiki', labels: {} }

test('a name that an application could read as one of ours is one', () => {
  for (const name of [
    'X-Signet-Username',
    'x_signet_username',
    'X.Signet.Groups',
    'X-Signet-Anything',
    'X~SIGNET!Uid',
    'x signet uid',
    'Remote_User',
    'remote.groups',
    'REMOTE-EMAIL',
  ])
    assert.ok(isIdentityHeader(name), name)
  for (const name of ['X-Signets', 'Signet-Username', 'Remote-Users', 'Remote', 'XSignet-Username'])
    assert.ok(!isIdentityHeader(name), name)
})

const said = (over: Partial<Person>, entitlements: string[] = []) => {
  const application = { headers: { remoteUser: true, jwt: false }, client, entitlements: true }
  return identityHeaders(application, {
    person: { id: 'u1', username: 'anna', email: '', name: '', active: true, groups: [], attributes: {}, ...over },
    session: claimsOf({ entitlements }, application, 0) as unknown as Session,
  })
}

test('nobody gains a group or a header by a name', () => {
  const groups = [
    'readers',
    'a|admins',
    'a,admins',
    ' admins',
    'admins ',
    '\tadmins',
    'x\nadmins',
    'x\r\nX-Signet-Uid: root',
    'admins\0',
    '',
    '\u00a0admins',
    '\u00e0',
  ]
  const headers = said({ groups, username: 'anna\r\nX-Signet-Uid: root', name: '\u00c4nna\n\u{1f600}\ud800', email: 'a\0b' }, ['b|c', 'd'])
  const utf8 = (text: string | undefined) => Buffer.from(text ?? '', 'latin1').toString()
  assert.equal(utf8(headers['X-Signet-Groups']), 'readers|a,admins|\u00e0')
  assert.equal(utf8(headers['Remote-Groups']), 'readers,a|admins,\u00e0')
  assert.equal(headers['X-Signet-Entitlements'], 'd')
  assert.equal(headers['X-Signet-Username'], 'anna  X-Signet-Uid: root')
  assert.equal(utf8(headers['X-Signet-Name']), '\u00c4nna \u{1f600}\ufffd')
  for (const [name, value] of Object.entries(headers)) validateHeaderValue(name, value)
})

test('every letter that a name can have may stand in a header', () => {
  for (let code = 0; code <= 0xffff; code += 1)
    if (code < 0x300 || code > 0xd700) validateHeaderValue('x', headerText(String.fromCharCode(code)))
})

test('where nobody is, every name is there and empty', () => {
  const headers = identityHeaders({ headers: { remoteUser: true, jwt: false }, client }, undefined)
  assert.equal(Object.keys(headers).length, 10)
  for (const [name, value] of Object.entries(headers)) assert.equal(value, '', name)
})

test('Basic for an application is made of text alone, and of a name without a colon', () => {
  const headers = { remoteUser: false, jwt: false, basic: { username: 'u', password: 'p' } }
  const made = (attributes: Record<string, unknown>) => upstreamBasic({ headers }, { attributes } as Person)
  assert.equal(made({ u: 'a', p: 'b:c' }), `Basic ${Buffer.from('a:b:c').toString('base64')}`)
  assert.equal(made({ u: ['a', 'x'], p: 'b' }), `Basic ${Buffer.from('a:b').toString('base64')}`)
  for (const attributes of [{}, { u: 'a' }, { p: 'b' }, { u: 'a:b', p: 'c' }, { u: 1, p: 'b' }, { u: '', p: 'b' }, { u: {}, p: [] }])
    assert.equal(made(attributes), undefined)
})

/** Signed statements, read by the keys that are published for them. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import type { GuardedApplication } from './core.ts'
import { jwksOf, openIdentityJwts } from './identity_jwt.ts'
import type { Session } from './session.ts'

const person = { id: 'u', username: 'anna', email: '', name: '', active: true, groups: ['readers'], attributes: {} }
const now = Date.now()
const session: Session = {
  sid: 's',
  issuer: 'https://id.example',
  person,
  acr: '1fa',
  amr: [],
  vouchedFor: '',
  signedInAt: now,
  expiresAt: now + 60_000,
}
const application = (number: number) =>
  ({
    key: `default/wiki-${number}`,
    cookieKey: hash('sha256', `key ${number}`, 'base64url'),
    origin: 'https://wiki.example',
    path: '',
    client: { name: 'wiki', clientId: 'wiki', labels: {} },
    headers: { remoteUser: false, jwt: true },
  }) as unknown as GuardedApplication

// The keys of 375 and 378 begin with a byte of zero, as one in 256 does; some ways to write a number leave it out.
test('statements are proven by the key of their application, whatever it begins with', async () => {
  const jwts = openIdentityJwts()
  for (const number of [0, 375, 378]) {
    const wiki = application(number)
    const { payload } = await jwtVerify(jwts.of(wiki, { session, person }, now), createLocalJWKSet(jwksOf(wiki)), {
      issuer: 'https://wiki.example/outpost.signet',
      audience: 'https://wiki.example',
      algorithms: ['ES256'],
    })
    assert.equal(payload.preferred_username, 'anna')
  }
})

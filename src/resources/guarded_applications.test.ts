import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Application } from '#/kinds/application.ts'
import { Secret } from '#/lib/secret.ts'
import { guardedApplication } from './guarded_applications.ts'
import type { ResourceOf } from './resource.ts'
import type { Snapshot } from './snapshot.ts'

const snapshot = {
  client: () => ({
    clientId: 'c',
    tokenEndpointAuthMethod: 'client_secret_basic',
    policy: { acr: '1fa', requirePushedAuthorizationRequests: false },
    authServer: { issuerUrl: 'https://id.example', displayName: 'Id', claimMappers: [] },
  }),
  problemOfApplication: () => undefined,
} as unknown as Pick<Snapshot, 'client' | 'problemOfApplication'>

const keysOf = (proxy: object) => {
  const application = {
    metadata: { namespace: 'team-a', name: 'wiki', labels: {} },
    spec: Application.spec.parse({
      displayName: 'Wiki',
      authServerRef: { name: 'default' },
      proxy: { externalUrl: 'https://wiki.example.com', ...proxy },
    }),
  } as unknown as ResourceOf<'Application'>
  const found = guardedApplication(snapshot, new Secret('a root secret of tests, 32 bytes at least'), application)
  return [found?.cookieKey, found?.clientSecret]
}

for (const mode of [{ mode: 'forward_single' }, { mode: 'forward_domain', cookieDomain: 'example.com' }])
  test(`keys of one outpost are worth nothing at another (${mode.mode})`, () => {
    const all = [
      keysOf(mode),
      keysOf({ ...mode, outpostRef: { name: 'edge' } }),
      keysOf({ ...mode, outpostRef: { name: 'west' } }),
      keysOf({ ...mode, outpostRef: { name: 'edge', namespace: 'elsewhere' } }),
    ].flat()
    assert.ok(all.every((key) => key !== undefined))
    assert.equal(new Set(all).size, all.length)
    assert.deepEqual(
      keysOf({ ...mode, outpostRef: { name: 'edge' } }),
      keysOf({ ...mode, outpostRef: { name: 'edge', namespace: 'team-a' } }),
    )
  })

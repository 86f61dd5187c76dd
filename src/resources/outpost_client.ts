/**
 * An application behind an outpost has a client like any other, made of its own settings: policies that select its labels govern it, and what
 * it may not have shows in its status.
 */
import { createHmac } from 'node:crypto'
import { AuthClient } from '#/kinds/auth_client.ts'
import { deriveKey } from '#/lib/crypto.ts'
import { Secret } from '#/lib/secret.ts'
import { outpostPath } from './outpost_path.ts'
import type { ResourceOf } from './resource.ts'

export interface OutpostClient {
  resource: ResourceOf<'AuthClient'>
  application: ResourceOf<'Application'>
}

/** `namespace/name` of the Outpost that guards an application; undefined: the one that is part of the server. */
export const outpostOf = ({ metadata, spec }: Pick<ResourceOf<'Application'>, 'metadata' | 'spec'>): string | undefined => {
  const ref = spec.proxy?.outpostRef
  return ref && `${ref.namespace ?? metadata.namespace}/${ref.name}`
}

/** No AuthClient can have this name. */
export const outpostClientName = (application: string): string => `${application}/outpost`

export const outpostClientId = (namespace: string, name: string): string => `outpost.signet/${namespace}/${name}`

/** Undefined for an application that stands behind none. */
export const outpostClientOf = (application: ResourceOf<'Application'>): OutpostClient | undefined => {
  const { spec, metadata } = application
  if (!spec.proxy) return undefined
  const { origin } = new URL(spec.proxy.externalUrl)
  const { namespace, name } = metadata
  return {
    application,
    resource: {
      ...application,
      kind: 'AuthClient',
      metadata: { ...metadata, name: outpostClientName(name) },
      spec: AuthClient.spec.parse({
        displayName: spec.displayName,
        clientId: outpostClientId(namespace, name),
        authServerRef: { name: spec.authServerRef.name, namespace: spec.authServerRef.namespace ?? namespace },
        redirectUris: [`${origin}${outpostPath}/callback`],
        postLogoutRedirectUris: [`${origin}${outpostPath}/sign_out`],
        grantTypes: ['authorization_code'],
        scopes: ['openid'],
        requirePkce: true,
        consent: 'implicit',
        ...(spec.icon === undefined ? {} : { logoUri: spec.icon }),
      }),
    } as ResourceOf<'AuthClient'>,
  }
}

/**
 * The secret of such a client: derived, since outposts are ours and are told it. Another one at each Outpost, so that one that was stolen knows
 * none of what is made for another.
 */
export const outpostClientSecret = (
  rootSecret: Secret,
  { issuerUrl, clientId, outpost }: { issuerUrl: string; clientId: string; outpost: string | undefined },
): Secret =>
  new Secret(
    createHmac('sha256', deriveKey(rootSecret, 'outpost_clients'))
      .update(`${issuerUrl}\n${clientId}${outpost === undefined ? '' : `\n${outpost}`}`)
      .digest('base64url'),
  )

/** The client that people come to an application through; undefined when it has none. */
export const clientOfApplication = <Client>(
  { client }: { client(namespace: string, name: string): Client | undefined },
  { metadata, spec }: Pick<ResourceOf<'Application'>, 'metadata' | 'spec'>,
): Client | undefined => {
  const ref = spec.authClientRef
  if (ref) return client(ref.namespace ?? metadata.namespace, ref.name)
  return spec.proxy ? client(metadata.namespace, outpostClientName(metadata.name)) : undefined
}

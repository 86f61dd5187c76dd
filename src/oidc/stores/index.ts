import type { Adapter } from 'oidc-provider'
import { accessTokenStore, clientCredentialsStore } from './access_token.ts'
import { authorizationCodeStore } from './authorization_code.ts'
import { clientStore } from './client.ts'
import { deviceCodeStore } from './device_code.ts'
import { grantStore } from './grant.ts'
import { interactionStore } from './interaction.ts'
import { pushedAuthorizationRequestStore } from './pushed_authorization_request.ts'
import { refreshTokenStore } from './refresh_token.ts'
import { registrationAccessTokenStore } from './registration_access_token.ts'
import { sessionStore } from './session.ts'
import type { OpenStore, StoreDeps } from './store.ts'

/** Where each model of `oidc-provider` lives, under its own name. ReplayDetection is one statement of its own: see replays.ts. */
const stores: Record<string, OpenStore> = {
  AccessToken: accessTokenStore,
  AuthorizationCode: authorizationCodeStore,
  Client: clientStore,
  ClientCredentials: clientCredentialsStore,
  DeviceCode: deviceCodeStore,
  Grant: grantStore,
  Interaction: interactionStore,
  PushedAuthorizationRequest: pushedAuthorizationRequestStore,
  RefreshToken: refreshTokenStore,
  RegistrationAccessToken: registrationAccessTokenStore,
  Session: sessionStore,
}

const notOffered = (name: string) => async (): Promise<undefined> => {
  throw new Error(`${name} is not stored this way`)
}

export const openAdapter =
  (deps: StoreDeps) =>
  (name: string): Adapter => ({
    upsert: notOffered(name),
    find: async () => undefined,
    findByUid: notOffered(name),
    findByUserCode: notOffered(name),
    consume: notOffered(name),
    destroy: notOffered(name),
    revokeByGrantId: notOffered(name),
    ...stores[name]?.(deps),
  })

/** What the suite is told about us, one configuration for each profile. Secrets and private keys are made at run time and handed in. */
import type { JWK } from 'jose'
import {
  askedToSignOut,
  declineSignIn,
  errorPage,
  errorPageOrSignIn,
  lookAtSignIn,
  type Place,
  signIn,
  signInAtSecondVisit,
  signInTwice,
  signOut,
  type Visit,
} from './browser.ts'
import type { Plan } from './plans.ts'

export interface ClientCredentials {
  client_id: string
  client_secret?: string
}

export interface World {
  /** Where people reach Signet. */
  provider: string
  /** Where the suite is. */
  suite: string
  visitor: { username: string; password: string }
  /** By the AuthClient's name. */
  clients: Record<string, ClientCredentials>
  /** Private keys of the FAPI clients, by the AuthClient's name. */
  keys: Record<string, JWK>
}

export const issuers = (provider: string) => ({ oidc: `${provider}/oidc`, fapi2: `${provider}/fapi2` })

type Overrides = Record<string, { browser: Visit[] }>

const oidcOverrides = (place: Place): Overrides => {
  const again = { browser: signInTwice(place) }
  const refused = { browser: errorPage(place) }
  const either = { browser: errorPageOrSignIn(place) }
  const look = { browser: lookAtSignIn(place) }
  return {
    'oidcc-prompt-login': again,
    'oidcc-max-age-1': again,
    'oidcc-ensure-registered-redirect-uri': refused,
    'oidcc-ensure-redirect-uri-in-authorization-request': refused,
    'oidcc-redirect-uri-query-mismatch': refused,
    'oidcc-redirect-uri-query-added': refused,
    'oidcc-response-type-missing': either,
    'oidcc-ensure-request-object-with-redirect-uri': either,
    'oidcc-registration-logo-uri': look,
    'oidcc-registration-policy-uri': look,
    'oidcc-registration-tos-uri': look,
    'oidcc-rp-initiated-logout-no-id-token-hint': { browser: [...signIn(place), ...askedToSignOut(place)] },
  }
}

const oidc = ({ provider, suite, visitor, clients }: World) => {
  const issuer = issuers(provider).oidc
  const place = { issuer, suite, ...visitor }
  return {
    alias: 'signet',
    server: { discoveryUrl: `${issuer}/.well-known/openid-configuration`, login_hint: visitor.username },
    client: clients['conformance-one'],
    client2: clients['conformance-two'],
    client_secret_post: clients['conformance-post'],
    browser: [...signIn(place), ...signOut(place)],
    override: oidcOverrides(place),
  }
}

/** Clients of their own: one that may have the implicit grant is refused whole where the suite is on `localhost` (OpenID Connect Registration, section 2). */
const frontChannel = (alias: string) => (world: World) => ({
  ...oidc(world),
  alias,
  client: world.clients['implicit-one'],
  client2: world.clients['implicit-two'],
  client_secret_post: world.clients['implicit-post'],
})

/** Its client is told of every sign-out, which the other plans would take for something they did not expect. */
const backchannel = (world: World) => ({ ...oidc(world), alias: 'signet-backchannel', client: world.clients['conformance-backchannel'] })

const dynamic = (world: World) => {
  const { client, client2, client_secret_post, ...rest } = oidc(world)
  return {
    ...rest,
    alias: 'signet-dynamic',
    client: { client_name: 'signet-conformance' },
    client2: { client_name: 'signet-conformance-two' },
  }
}

const fapi2 = (alias: string, names: [string, string]) => (world: World) => {
  const { provider, suite, visitor, clients, keys } = world
  const issuer = issuers(provider).fapi2
  const place = { issuer, suite, ...visitor }
  const client = (name: string) => {
    const key = keys[name]
    if (!key) throw new Error(`no key was made for ${name}`)
    return { client_id: clients[name]?.client_id, scope: 'openid profile email offline_access', jwks: { keys: [key] } }
  }
  return {
    alias,
    server: { discoveryUrl: `${issuer}/.well-known/openid-configuration`, login_hint: visitor.username },
    client: client(names[0]),
    client2: client(names[1]),
    resource: { resourceUrl: `${issuer}/oauth2/userinfo` },
    browser: signIn(place),
    override: {
      'fapi2-security-profile-final-user-rejects-authentication': { browser: declineSignIn(place) },
      'fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds': {
        browser: signInAtSecondVisit(place),
      },
    },
  }
}

const configurations: Record<Plan['configuration'], (world: World) => object> = {
  oidc,
  implicit: frontChannel('signet-implicit'),
  hybrid: frontChannel('signet-hybrid'),
  backchannel,
  dynamic,
  fapi2: fapi2('signet-fapi2', ['fapi2-one', 'fapi2-two']),
  fapi2_message_signing: fapi2('signet-fapi2-signed', ['fapi2-signed-one', 'fapi2-signed-two']),
}

export const configurationOf = (plan: Plan, world: World): object => configurations[plan.configuration](world)

/** What the first start makes, once, however many servers start: ordinary resources that may be edited afterwards, and someone who may edit them. */
import { createToken, unlimited } from '#/identity/api_tokens.ts'
import { type PasswordHasher, setPassword } from '#/identity/passwords.ts'
import { findUserByLogin } from '#/identity/users.ts'
import { apiVersion } from '#/kinds/kind.ts'
import { defaultPasswordRules } from '#/kinds/user_store.ts'
import type { Settings } from '#/lib/config.ts'
import { randomToken } from '#/lib/crypto.ts'
import { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { claimFirstStart } from '#/model/resources.ts'
import { checkResource } from './check.ts'
import { defaultFlowManifests } from './default_flows.ts'
import { storeOf } from './stores/index.ts'
import { writeDesired } from './write.ts'

export interface FirstStartDeps {
  db: Db
  rootSecret: Secret
  passwords: PasswordHasher
  settings: Pick<Settings, 'BASE_URL' | 'BOOTSTRAP_PASSWORD' | 'BOOTSTRAP_TOKEN'>
}

export interface FirstStart {
  /** False: another start was the first. */
  made: boolean
  /** The password of admin, when a random one was made: to be shown once. */
  password: Secret | undefined
}

export const namespace = 'default'
const actor = 'first start'
const label = { 'signet.dev/auth-server': 'default' }

/** In the order in which they refer to each other. */
export const firstResources = (issuerUrl: string) => {
  const resource = (kind: string, name: string, spec: object, labels?: Record<string, string>) => ({
    apiVersion,
    kind,
    metadata: { namespace, name, ...(labels ? { labels } : {}) },
    spec,
  })
  return [
    resource('UserStore', 'default', { type: 'postgres' }),
    resource('User', 'admin', { username: 'admin', name: 'Administrator' }),
    resource('Role', 'admin', { rules: [{ kinds: ['*'], namespaces: ['*'], verbs: ['*'] }], subjects: { users: ['admin'] } }),
    resource(
      'AuthPolicy',
      'default',
      {
        allowedGrantTypes: ['authorization_code', 'refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'],
        enforcePKCE: true,
        allowedScopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
      },
      label,
    ),
    ...defaultFlowManifests(),
    resource('AuthServer', 'default', { issuerUrl, policySelector: { matchLabels: label }, userStoreRef: { name: 'default' } }),
  ]
}

/** One transaction: all of it or nothing. */
export const applyFirstStart = ({ db, rootSecret, passwords, settings }: FirstStartDeps, now: Date): Promise<FirstStart> =>
  db.transaction(async (tx) => {
    if (!(await claimFirstStart(tx, now))) return { made: false, password: undefined }
    for (const value of firstResources(settings.BASE_URL)) {
      const checked = checkResource(value)
      if (!checked.ok) throw new Error(`the first start is refused: ${JSON.stringify(checked.errors)}`)
      const { kind, name } = checked.desired
      const exists = await storeOf(kind).find(tx, kind, namespace, name)
      if (!exists) await writeDesired(tx, { rootSecret }, checked.desired, { expect: 'new', actor }, now)
    }
    const made = settings.BOOTSTRAP_PASSWORD ? undefined : new Secret(randomToken(18))
    const admin = await findUserByLogin(tx, 'admin')
    const password = settings.BOOTSTRAP_PASSWORD ?? made
    if (admin && password)
      await setPassword({ db: tx, passwords }, admin.id, password.reveal(), { actor, rules: defaultPasswordRules }, now)
    if (settings.BOOTSTRAP_TOKEN)
      await createToken(tx, { name: 'bootstrap', user_id: null, scope: unlimited, expires_at: null, token: settings.BOOTSTRAP_TOKEN }, now)
    return { made: true, password: made }
  })

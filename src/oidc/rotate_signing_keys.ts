import type { Snapshot } from '#/resources/snapshot.ts'
import { type KeyringDeps, rotateKeysOf } from './keyring.ts'
import { rotationSettingsOf } from './rotation_settings.ts'

/** Makes and retires the keys of every AuthServer that are due; answers the issuers whose keys changed. */
export const rotateSigningKeys = async (
  { snapshot, ...deps }: KeyringDeps & { snapshot: Pick<Snapshot, 'authServers'> },
  now: Date,
): Promise<string[]> => {
  const changed: string[] = []
  for (const authServer of snapshot.authServers())
    if (await rotateKeysOf(deps, { issuer: authServer.issuerUrl, settings: rotationSettingsOf(authServer) }, now))
      changed.push(authServer.issuerUrl)
  return changed
}

import type { StageSettings } from '#/kinds/flow_stages.ts'
import { setUpStage } from '../set_up.ts'

/** Registers a passkey or a security key. */
export const authenticator_webauthn = setUpStage({
  type: 'webauthn',
  fields: [],
  standardName: 'Passkey',
  passkeysOf: ({ settings }) => {
    // Checked by the kind.
    const { attestation, attestationRoots, allowedAaguids, userVerification } = settings as StageSettings<'authenticator_webauthn'>
    return {
      userVerification,
      ...(attestation === 'direct'
        ? { attestation: { conveyance: 'direct', aaguids: allowedAaguids ?? [], roots: attestationRoots ?? [] } as const }
        : {}),
    }
  },
  shown: ({ passkey }) => (passkey ? { passkey: passkey as Record<string, unknown> } : {}),
  mistake: 'mistake.passkey',
})

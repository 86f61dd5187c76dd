import { parseDuration } from '#/lib/clock.ts'
import type { ResolvedAuthServer } from '#/resources/snapshot.ts'
import type { RotationSettings } from './keyring.ts'

/** A new value of this annotation rotates the AuthServer's keys once, at once. */
export const rotateKeysAnnotation = 'signet.dev/rotate-keys'

/** How an AuthServer's signing keys follow one another. */
export const rotationSettingsOf = ({ spec, resource }: Pick<ResolvedAuthServer, 'spec' | 'resource'>): RotationSettings => ({
  algorithms: spec.signingAlgorithms,
  everyMs: parseDuration(spec.keyRotation.every) ?? 90 * 86_400_000,
  overlapMs: parseDuration(spec.keyRotation.overlap) ?? 7 * 86_400_000,
  cause: resource.metadata.annotations[rotateKeysAnnotation],
})

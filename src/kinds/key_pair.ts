import { z } from 'zod'
import { parseChain, parsePrivateKey } from '#/lib/certificate.ts'
import { paused, text } from './fields.ts'
import { defineKind } from './kind.ts'

const refusing = (parse: (value: string) => unknown) => (value: string, context: z.RefinementCtx<string>) => {
  try {
    parse(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
}

export const KeyPair = defineKind({
  kind: 'KeyPair',
  plural: 'keypairs',
  shortName: 'kp',
  summary:
    'A certificate and its private key. TLS_PORT serves the names in its subjectAltName with it, from the next connection on; hosts of another namespace only where its own is `default`. One that replaces another takes its place only as a whole: a key that does not belong to the certificate is refused.',
  writeOnly: ['privateKey'],
  spec: z.strictObject({
    paused,
    certificate: text(64 * 1_024)
      .superRefine(refusing(parseChain))
      .describe('Certificates as PEM: its own first, then those between it and the root.'),
    privateKey: text(16 * 1_024)
      .superRefine(refusing(parsePrivateKey))
      .optional()
      .meta({ writeOnly: true })
      .describe(
        'Private key as PEM, without a password; RSA with 2048 to 4096 bits. It is kept encrypted and shown to no one again. Absent: the one that was given before, which must belong to the certificate.',
      ),
  }),
})

export type KeyPairSpec = z.output<typeof KeyPair.spec>

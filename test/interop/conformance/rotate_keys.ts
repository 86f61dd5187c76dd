import type { Signet } from '../../support/signet.ts'

/** New signing keys take over at once, which the schedule would let happen after months. */
export const rotateKeys = async (signet: Signet): Promise<void> => {
  const annotations = { 'signet.dev/rotate-keys': new Date().toISOString() }
  const { status, text } = await signet.api('PATCH', '/api/v1/namespaces/conformance/authservers/openid', { metadata: { annotations } })
  if (status !== 200) throw new Error(`rotating keys answered ${status}: ${text}`)
}

import { type AdapterPayload, errors, Provider } from 'oidc-provider'
import { addFailure, findLockOut, userCodeCounters } from '#/flow/failures.ts'
import { sha256 } from '#/lib/crypto.ts'
import {
  deleteDeviceCode,
  type FoundDeviceCode,
  findDeviceCode,
  findDeviceCodeByUserCode,
  pollDeviceCode,
  storeDeviceCode,
  updateDeviceCode,
} from '#/model/device_codes.ts'
import { callerOfContext } from '../caller.ts'
import { requestMemory } from '../request_memory.ts'
import { expiryOf, type OpenStore, secondsOf, underGrant, withoutId } from './store.ts'

/** The five seconds that a device waits between two questions, less what the way may shorten. */
const shortestPollMs = 4_000

/** The library shows the page for the code again, and on it what the name of the error says. */
class TooManyGuessesError extends errors.OIDCProviderError {
  constructor() {
    super(429, 'slow_down')
  }
}

export const deviceCodeStore: OpenStore = ({ db, clock, issuer, vault }) => {
  const payloadOf = (row: FoundDeviceCode, jti: string, userCode?: string): AdapterPayload => ({
    ...row.payload,
    jti,
    ...(userCode !== undefined && { userCode }),
    ...(row.consumed_at && { consumed: secondsOf(row.consumed_at) }),
  })
  /** Throws slow_down (RFC 8628 section 3.5) while nothing is decided; once it is, nobody has to wait. */
  const slowDown = async (id: string): Promise<void> => {
    const now = clock()
    const before = await pollDeviceCode(db, { code_hash: sha256(id), issuer }, now)
    if (before?.polled_at && now.getTime() - before.polled_at.getTime() < shortestPollMs) throw new errors.SlowDown()
  }
  /** Throws while too many wrong codes have come from the network. */
  const stopGuessing = async (network: string): Promise<void> => {
    const seconds = await findLockOut(db, userCodeCounters(network), clock())
    if (seconds === undefined) return
    Provider.ctx?.set('retry-after', String(seconds))
    throw new TooManyGuessesError()
  }
  return {
    upsert: async (id, payload, expiresIn) => {
      const { userCode, consumed: _consumed, ...rest } = payload
      const code = {
        code_hash: sha256(id),
        user_code_hash: userCode === undefined ? undefined : sha256(userCode),
        sealed_code: vault.seal(id, 'device_code'),
        issuer,
        grant_id: payload.grantId ?? null,
        session_uid: payload.sessionUid ?? null,
        payload: withoutId(rest),
        expires_at: expiryOf(payload, expiresIn, clock()),
      }
      if (await underGrant(updateDeviceCode(db, code))) return
      if (userCode !== undefined && payload.accountId === undefined && payload.error === undefined && !payload.inFlight)
        await underGrant(storeDeviceCode(db, { ...code, user_code_hash: sha256(userCode) }))
    },
    find: async (id) => {
      if (Provider.ctx?.oidc.route === 'token') await slowDown(id)
      const row = await findDeviceCode(db, { code_hash: sha256(id), issuer })
      return row && payloadOf(row, id)
    },
    // Looked at before, to spare the look-up, and after: of a thousand guesses at once only those that come before the limit can be right.
    findByUserCode: async (userCode) => {
      const { network = '' } = callerOfContext()
      await stopGuessing(network)
      const row = await findDeviceCodeByUserCode(db, { user_code_hash: sha256(userCode), issuer })
      if (row) await stopGuessing(network)
      else await addFailure(db, userCodeCounters(network), clock())
      return row && payloadOf(row, vault.open(row.sealed_code, 'device_code').toString(), userCode)
    },
    consume: async (id) => {
      const row = await findDeviceCode(db, { code_hash: sha256(id), issuer })
      requestMemory().consuming = {
        kind: 'DeviceCode',
        hash: sha256(id),
        grant_id: typeof row?.payload.grantId === 'string' ? row.payload.grantId : undefined,
      }
    },
    destroy: async (id) => {
      await deleteDeviceCode(db, sha256(id))
    },
    revokeByGrantId: async () => {},
  }
}

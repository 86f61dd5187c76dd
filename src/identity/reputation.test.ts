import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { sql } from '#/lib/sql.ts'
import { purgeReputations } from '#/model/network_reputations.ts'
import { forgottenSince, type Reputation, scoreAfter, scoreAt } from '#/policy/reputation.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { countOutcome, findReputation } from './reputation.ts'

const start = new Date('2026-11-23T12:00:00Z')
let fresh: FreshDatabase
before(async () => {
  fresh = await freshDatabase()
})
after(() => fresh.drop())

test('the table says what the pure function says, whatever happens when', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ outcome: fc.constantFrom('failure' as const, 'success' as const), minutes: fc.integer({ min: -60, max: 2_000 }) }),
        {
          maxLength: 12,
        },
      ),
      async (story) => {
        const network = `198.51.${100 + Math.floor(run / 250)}.${run++ % 250}`
        let known: Reputation | undefined
        let now = start
        for (const { outcome, minutes } of story) {
          now = new Date(now.getTime() + minutes * 60_000)
          await countOutcome(fresh.db, network, outcome, now)
          const latest = known && known.at > now ? known.at : now
          known = { score: scoreAfter(known, outcome, now), at: latest }
        }
        assert.equal(await findReputation(fresh.db, network, now), known ? Math.round(scoreAt(known, now)) : 0)
      },
    ),
    { numRuns: 40 },
  )
})

test('failures at the same moment all count, up to the worst', async () => {
  await Promise.all(Array.from({ length: 30 }, () => countOutcome(fresh.db, '192.0.2.1', 'failure', start)))
  assert.equal(await findReputation(fresh.db, '192.0.2.1', start), 30)
  await Promise.all(Array.from({ length: 90 }, () => countOutcome(fresh.db, '192.0.2.1', 'failure', start)))
  assert.equal(await findReputation(fresh.db, '192.0.2.1', start), 100)
  assert.equal(await findReputation(fresh.db, '192.0.2.2', start), 0)
})

test('whoever has a whole IPv6 network is one', async () => {
  for (let host = 1; host <= 5; host++) await countOutcome(fresh.db, `2001:db8:1:2::${host}`, 'failure', start)
  assert.equal(await findReputation(fresh.db, '2001:db8:1:2:ffff::1', start), 5)
  assert.equal(await findReputation(fresh.db, '2001:db8:1:3::1', start), 0)
})

test('of a network without failures nothing is written, and what is forgotten is purged', async () => {
  await fresh.db.run(sql`delete from network_reputations`)
  await countOutcome(fresh.db, '192.0.2.3', 'success', start)
  await countOutcome(fresh.db, '192.0.2.4', 'failure', start)
  const later = new Date(start.getTime() + 60 * 3_600_000)
  assert.equal(await purgeReputations(fresh.db, forgottenSince(new Date(later.getTime() - 1)), 1_000), 0)
  assert.equal(await purgeReputations(fresh.db, forgottenSince(later), 1_000), 1)
})

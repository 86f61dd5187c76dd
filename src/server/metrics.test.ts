import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { openMetrics } from './metrics.ts'

let database: FreshDatabase
before(async () => {
  database = await freshDatabase()
})
after(() => database.drop())

test('GET /metrics counts every request, also those from before the library that counts was loaded', async (t) => {
  const metrics = openMetrics(database.db)
  await new Promise<void>((resolve) => metrics.server.listen(0, '127.0.0.1', resolve))
  t.after(() => metrics.server.close())
  const scrape = async () => (await fetch(`http://127.0.0.1:${(metrics.server.address() as AddressInfo).port}/metrics`)).text()
  const counted = 'signet_http_server_request_duration_seconds_count{part="oidc",status="200"}'
  metrics.answered('oidc', 200, 0.01)
  metrics.answered('oidc', 200, 0.02)
  assert.ok((await scrape()).includes(`${counted} 2\n`))
  metrics.answered('oidc', 200, 0.03)
  const text = await scrape()
  assert.ok(text.includes(`${counted} 3\n`))
  for (let request = 0; request < 1_234; request++) metrics.answered('outpost', 200, 0.01)
  assert.match(await scrape(), /_count\{part="outpost",status="200"\} 1234$/m)
  assert.match(text, /^signet_database_connections\{state="idle"\} \d+$/m)
})

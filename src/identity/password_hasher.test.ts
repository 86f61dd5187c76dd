import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { openPasswordHasher } from './password_hasher.ts'

const hashers: { close(): Promise<void> }[] = []
const open = (options?: Parameters<typeof openPasswordHasher>[0]) => {
  const hasher = openPasswordHasher(options)
  hashers.push(hasher)
  return hasher
}
after(() => Promise.all(hashers.map((hasher) => hasher.close())))

const sha512crypt = '$6$K.xMqOAR7fWlq5zo$qBeOqXwwoWLs60FkoQ51.REyY8qrGto8avT60.RTVl/FbaiDMkIrGq8Aphw9aur9UgSpd.xaF5m3LWkWRdPIk1'
const bcrypt = '$2y$05$9k0FnIl.FKsBHrS8DDsEweASRFF0ORjhIMLAwVlta2.1tQgegGhIy'
const imported = 'pässword-ü 1'

test('a hash is verified and needs no other', async () => {
  const hasher = open()
  const stored = await hasher.hash('correct horse')
  assert.match(stored, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  assert.deepEqual(await hasher.verify(stored, 'correct horse'), { ok: true, rehash: false })
  assert.deepEqual(await hasher.verify(stored, 'wrong'), { ok: false, rehash: false })
})

test('an imported hash is verified and wants to be hashed anew, but not after a wrong password', async () => {
  const hasher = open()
  for (const stored of [sha512crypt, bcrypt, '{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM=']) {
    assert.deepEqual(await hasher.verify(stored, imported), { ok: true, rehash: true })
    assert.deepEqual(await hasher.verify(stored, 'wrong'), { ok: false, rehash: false })
  }
})

test('how a keyboard composes letters and blanks does not matter', async () => {
  const hasher = open()
  const stored = await hasher.hash('caf\u00e9\u00a0noir')
  assert.equal((await hasher.verify(stored, 'cafe\u0301 noir')).ok, true)
})

/** Passwords that nobody has, whatever is stored. */
const impossible = ['', 'a\0b', '\0', 'x'.repeat(1_025), 'ä'.repeat(513)]

for (const plain of impossible)
  test(`no password is ${JSON.stringify(plain.slice(0, 4))} (${Buffer.byteLength(plain)} bytes)`, async () => {
    const hasher = open()
    await assert.rejects(hasher.hash(plain), Problem)
    assert.deepEqual(await hasher.verify(bcrypt, plain), { ok: false, rehash: false })
    await hasher.verifyNobody(plain)
  })

test('what is stored and can not be understood is nobody’s password', async () => {
  const hasher = open()
  for (const stored of ['', 'secret', '$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'])
    assert.deepEqual(await hasher.verify(stored, 'secret'), { ok: false, rehash: false })
})

test('a flood fills the queue, the rest is told to come again, and those in the queue are served', async () => {
  const hasher = open({ concurrency: 2, queueLimit: 10 })
  const stored = await hasher.hash('correct horse')
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => hasher.verify(stored, 'correct horse')))
  const served = outcomes.filter(({ status }) => status === 'fulfilled')
  const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  assert.equal(served.length, 12)
  assert.equal(refused.length, 188)
  for (const problem of refused) {
    assert.ok(problem instanceof Problem && problem.code === 'unavailable')
    assert.ok(problem.retryAfter !== undefined && problem.retryAfter >= 1)
  }
  assert.deepEqual(await hasher.verify(stored, 'correct horse'), { ok: true, rehash: false })
})

test('the main thread has next to nothing to do while many are verified', async () => {
  const hasher = open({ concurrency: 2, queueLimit: 100 })
  await Promise.all([hasher.verify(bcrypt, imported), hasher.verify(sha512crypt, imported)])
  const before = performance.eventLoopUtilization()
  await Promise.all(Array.from({ length: 40 }, (_, i) => hasher.verify(i % 2 ? sha512crypt : bcrypt, imported)))
  const { utilization } = performance.eventLoopUtilization(before)
  assert.ok(utilization < 0.5, `it was busy for ${Math.round(utilization * 100)}% of the time`)
})

/** 400 ms or so. */
const slow = 'pbkdf2_sha256$1000000$sko8FyGHhsMuxYqtudHMsu$Tg5fG2hiSwa+UEFcN6FmxMn1+qfCNw1PBa9NbkKfPz4='

test('a name nobody has takes as long as a wrong password, of an imported quick or slow hash too', async () => {
  const hasher = open({ concurrency: 1 })
  const stored = await hasher.hash('correct horse')
  await hasher.learn([slow])
  const ways = {
    wrong: () => hasher.verify(stored, 'wrong'),
    nobody: () => hasher.verifyNobody('wrong'),
    slow: () => hasher.verify(slow, 'wrong'),
    quick: () => hasher.verify('{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM=', 'wrong'),
  }
  const best = { wrong: Infinity, nobody: Infinity, slow: Infinity, quick: Infinity }
  const isAlike = (name: 'nobody' | 'slow' | 'quick') => best[name] / best.wrong > 0.6 && best[name] / best.wrong < 1.7
  // The quickest of several is what it takes; on a busy machine it takes several more to see it.
  const areAlike = () => isAlike('nobody') && isAlike('slow') && isAlike('quick')
  for (let i = 0; i < 40 && !(i >= 5 && areAlike()); i++)
    for (const name of ['wrong', 'nobody', 'slow', 'quick'] as const) {
      const began = performance.now()
      await ways[name]()
      best[name] = Math.min(best[name], performance.now() - began)
    }
  assert.ok(areAlike(), JSON.stringify(best))
})

test('a right password, of an imported hash too, waits for nothing', async () => {
  const hasher = open({ concurrency: 1 })
  const stored = await hasher.hash('correct horse')
  await hasher.learn([slow])
  const best = { right: Infinity, wrong: Infinity }
  for (let i = 0; i < 5; i++)
    for (const [name, plain] of [
      ['right', 'correct horse'],
      ['wrong', 'wrong'],
    ] as const) {
      const began = performance.now()
      await hasher.verify(stored, plain)
      best[name] = Math.min(best[name], performance.now() - began)
    }
  assert.ok(best.right < best.wrong / 2, JSON.stringify(best))
})

test('failures that wait keep no one from signing in', async () => {
  const hasher = open({ concurrency: 1, queueLimit: 100 })
  const stored = await hasher.hash('correct horse')
  // They wait three times as long as for the other tests: the machine may be busy with more than this one.
  await hasher.learn([slow.replace('$1000000$', '$3000000$')])
  const failures = Array.from({ length: 3 }, () => hasher.verifyNobody('wrong'))
  const order: string[] = []
  await Promise.all([
    hasher.verify(stored, 'correct horse').then(() => order.push('right')),
    Promise.all(failures).then(() => order.push('wrong')),
  ])
  assert.deepEqual(order, ['right', 'wrong'])
})

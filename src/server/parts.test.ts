import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openParts, type Part } from './parts.ts'

const answering = (text: string): Part => ({ handle: (_request, response) => response.end(text), close: async () => {} })

const unexpected = (name: string, error: Error) => assert.fail(`${name}: ${error.message}`)

const serve = async (t: TestContext, handle: Part['handle']) => {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a request before its part is loaded has it loaded, and waits for it alone', async (t) => {
  const opened: string[] = []
  let finish = () => {}
  const program = (name: string, until?: Promise<void>) => async () => async () => {
    opened.push(name)
    await until
    return answering(name)
  }
  const parts = openParts({
    programs: { first: program('first', new Promise<void>((resolve) => (finish = resolve))), second: program('second') },
    onFault: unexpected,
  })
  const loaded = parts.load()
  const origin = await serve(t, (request, response) => parts.handle[request.url === '/first' ? 'first' : 'second'](request, response))
  const waiting = fetch(`${origin}/first`)
  assert.equal(await (await fetch(`${origin}/second`)).text(), 'second')
  finish()
  assert.equal(await (await waiting).text(), 'first')
  await loaded
  assert.deepEqual(opened, ['first', 'second'], 'each is opened once')
})

test('every part is prepared once all of them are there, and one that can’t be is in service all the same', async (t) => {
  const done: string[] = []
  const program =
    (name: string, fails = false) =>
    async () =>
    async () => {
      done.push(`opened ${name}`)
      return {
        ...answering(name),
        prepare: async () => {
          done.push(`prepared ${name}`)
          if (fails) throw new Error('the database is away')
        },
      }
    }
  const parts = openParts({ programs: { first: program('first', true), second: program('second') }, onFault: unexpected })
  await parts.load()
  assert.deepEqual(done, ['opened first', 'opened second', 'prepared first', 'prepared second'])
  assert.equal(await (await fetch(await serve(t, parts.handle.first))).text(), 'first')
})

test('a program that can’t be loaded fails the load', async () => {
  const parts = openParts({ programs: { broken: () => Promise.reject(new Error('a file is missing')) }, onFault: unexpected })
  await assert.rejects(parts.load(), /a file is missing/)
})

test('a part that can’t be opened is said to be faulty, answers 503, and is opened again until it can be', async (t) => {
  let isAway = true
  const faults: string[] = []
  let heard = () => {}
  const fault = new Promise<void>((resolve) => (heard = resolve))
  const parts = openParts({
    programs: {
      part: async () => async () => {
        if (isAway) throw new Error('the database is away')
        return answering('there')
      },
    },
    onFault: (name, error) => {
      faults.push(`${name}: ${error.message}`)
      heard()
    },
    againAfterMs: 10,
  })
  const loaded = parts.load()
  await fault
  assert.equal(parts.faulty(), 'part')
  const origin = await serve(t, parts.handle.part)
  const refused = await fetch(origin)
  assert.equal(refused.status, 503)
  assert.ok(refused.headers.get('retry-after'))
  isAway = false
  await loaded
  assert.equal(parts.faulty(), undefined)
  assert.equal(await (await fetch(origin)).text(), 'there')
  assert.equal(faults[0], 'part: the database is away')
})

test('closing waits for what is being opened, closes it, and opens nothing more', async () => {
  const done: string[] = []
  let finish = () => {}
  let begun = () => {}
  const opening = new Promise<void>((resolve) => (begun = resolve))
  const parts = openParts({
    programs: {
      first: async () => async () => {
        begun()
        await new Promise<void>((resolve) => (finish = resolve))
        return { ...answering('first'), close: async () => void done.push('closed first') }
      },
      second: async () => async () => {
        done.push('opened second')
        return answering('second')
      },
    },
    onFault: unexpected,
  })
  const loaded = parts.load()
  await opening
  const closed = parts.close()
  finish()
  await Promise.all([loaded, closed])
  assert.deepEqual(done, ['closed first'])
})

test('closing does not wait for a part that can’t be opened', async () => {
  let heard = () => {}
  const fault = new Promise<void>((resolve) => (heard = resolve))
  const parts = openParts({
    programs: { part: async () => () => Promise.reject(new Error('the database is away')) },
    onFault: () => heard(),
    againAfterMs: 60_000,
  })
  const loaded = parts.load()
  await fault
  await parts.close()
  await loaded
})

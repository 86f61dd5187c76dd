import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { boundBody, hasBody, liftBodyBound } from './body_bound.ts'

/** What comes back to a body that stops after its first byte, and after how long the connection ends. */
const dawdle = async (method: string, handle: (request: IncomingMessage, response: ServerResponse) => void) => {
  const server = createServer({ requestTimeout: 0 }, handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na`)
  const began = performance.now()
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', () => {})
  const patience = setTimeout(() => socket.destroy(), 5_000)
  const ended = await new Promise<boolean>((resolve) => {
    socket.once('end', () => resolve(true))
    socket.once('close', () => resolve(performance.now() - began < 4_000))
  })
  clearTimeout(patience)
  socket.destroy()
  server.closeAllConnections()
  server.close()
  return { text, ended }
}

test('a body that does not come in time ends the connection, when nobody has answered', async () => {
  const { text, ended } = await dawdle('POST', (request) => {
    request.resume()
    boundBody(request, 50)
  })
  assert.ok(ended)
  assert.equal(text, '')
})

test('nor does one keep it that was answered before it was read', async () => {
  for (const method of ['GET', 'POST']) {
    const { text, ended } = await dawdle(method, (request, response) => {
      boundBody(request, 50)
      response.end('done')
    })
    assert.ok(ended, method)
    assert.match(text, /done/)
  }
})

test('a bound that was lifted, or set anew, holds no longer', async () => {
  let waited = 0
  const { ended } = await dawdle('POST', (request) => {
    boundBody(request, 1)
    liftBodyBound(request)
    const began = performance.now()
    boundBody(request, 100)
    request.once('close', () => {
      waited = performance.now() - began
    })
  })
  assert.ok(ended)
  assert.ok(waited >= 99, `${waited} ms`)
})

test('a body is announced by either header', () => {
  assert.equal(hasBody({ headers: {} }), false)
  assert.equal(hasBody({ headers: { 'content-length': '0' } }), false)
  assert.equal(hasBody({ headers: { 'content-length': '1' } }), true)
  assert.equal(hasBody({ headers: { 'transfer-encoding': 'chunked' } }), true)
})

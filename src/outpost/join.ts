/** A web socket: the connections of the browser and of the application made one. What goes by is theirs. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Upgrade } from '#/lib/http.ts'
import { responseHeaders } from './upstream_headers.ts'

export interface Joining {
  response: ServerResponse
  answer: IncomingMessage
  /** The application's, and what it said already. */
  socket: Socket
  head: Buffer
  upgrade: Upgrade
  idleMs: number
  /** Called with how to end it, and how to forget it. */
  staying: (end: () => void) => () => void
}

/** Whether the answer is the change that was asked for. */
export const isWebSocket = ({ statusCode, headers }: Pick<IncomingMessage, 'statusCode' | 'headers'>): boolean =>
  statusCode === 101 && headers.upgrade?.toLowerCase() === 'websocket'

export const join = ({ response, answer, socket, head, upgrade, idleMs, staying }: Joining): void => {
  const browser = upgrade.socket as Socket
  response.detachSocket(browser)
  response.statusCode = 101
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']
  const passed = responseHeaders(answer)
  for (let index = 0; index < passed.length; index += 2) lines.push(`${passed[index]}: ${passed[index + 1]}`)
  browser.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  if (head.length) browser.write(head)
  if (upgrade.head.length) socket.write(upgrade.head)
  // An end of one way leaves the other.
  socket.allowHalfOpen = true
  browser.allowHalfOpen = true

  let isOver = false
  const over = () => {
    if (isOver) return
    isOver = true
    forget()
    // Whoever waits for the answer's end, as the log does, hears of it now.
    response.emit('close')
  }
  const end = () => {
    browser.destroy()
    socket.destroy()
    over()
  }
  const forget = staying(end)
  for (const [one, other] of [
    [browser, socket],
    [socket, browser],
  ] as const) {
    one.setTimeout(idleMs, end)
    one.on('error', end)
    one.on('close', () => {
      over()
      // What was said last is still handed on.
      other.destroySoon()
    })
  }
  browser.pipe(socket)
  socket.pipe(browser)
}

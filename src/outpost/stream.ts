/**
 * What one outpost is told, as lines of JSON: first where things are, then every change, and a beat in between. One that does not read is cut
 * off, since it would fill the memory; it comes back and reads where things are then.
 */
import { Readable } from 'node:stream'
import type { Log } from '#/lib/log.ts'
import type { Feed } from './feed.ts'
import { type Message, protocol } from './message.ts'

export interface StreamDeps {
  feed: Feed
  log: Log
  version: string
  /** Asked every few seconds; false or an error of it ends the stream. Undefined: it can't be said now. */
  mayGoOn: () => Promise<boolean | undefined>
  /** Ends it. */
  stopping: AbortSignal
}

const beatEveryMs = 2_000
const lookEveryMs = 5_000
/** Bytes that wait for an outpost, which the whole of its configuration must fit in. */
const mostWaiting = 32 * 1_024 * 1_024
/** Endings and people that come while what was missed is read. */
const mostWaitingItems = 100_000
/** Of what was missed so much is read before it is taken. */
const aheadBytes = 1_024 * 1_024
/** One that has ended is closed then, read or not. */
const closesWithinMs = 2_000

export const openStream = (
  { feed, log, version, mayGoOn, stopping }: StreamDeps,
  { outpost, after, closed }: { outpost: string; after: string; closed: () => void },
): Readable => {
  let wanted = () => {}
  const stream = new Readable({ read: () => wanted(), highWaterMark: 64 * 1_024 })
  let told = ''
  /** While what was missed is read, what comes new waits, so that `seen` never runs ahead. */
  let waiting: Message[] | undefined = []
  let waitingItems = 0
  let isOver = false
  let closing: NodeJS.Timeout | undefined

  const send = (message: Message): void => {
    if (isOver || stream.destroyed) return
    const line = `${JSON.stringify(message)}\n`
    if (stream.readableLength + line.length > mostWaiting) {
      log.warn(
        { event: 'outpost.stream.slow', 'signet.outpost': outpost, waiting: stream.readableLength },
        'an outpost that does not read is cut off',
      )
      stream.destroy()
    } else stream.push(line)
  }
  const sendApplications = (): void => {
    const message = feed.applications(outpost)
    // Most changes of configuration are none to it.
    const text = JSON.stringify(message.applications)
    if (text === told) return
    told = text
    send(message)
  }
  const end = (): void => {
    if (!isOver && !stream.destroyed) {
      stream.push(null)
      closing = setTimeout(() => stream.destroy(), closesWithinMs)
      closing.unref()
    }
    isOver = true
    stop()
  }
  const stopFollowing = feed.follow({
    tell: (message) => {
      if (!waiting) return send(message)
      waitingItems += message.type === 'endings' ? message.endings.length : 1
      if (waitingItems > mostWaitingItems) stream.destroy()
      else waiting.push(message)
    },
    changed: sendApplications,
  })
  const beating = setInterval(() => send({ type: 'beat' }), beatEveryMs)
  const looking = setInterval(() => {
    mayGoOn().then(
      (may) => may === false && end(),
      () => end(),
    )
  }, lookEveryMs)
  const stop = () => {
    stopFollowing()
    clearInterval(beating)
    clearInterval(looking)
    stopping.removeEventListener('abort', end)
  }
  stopping.addEventListener('abort', end)
  stream.once('close', () => {
    clearTimeout(closing)
    stop()
    wanted()
    closed()
  })

  const begin = async (): Promise<void> => {
    send({ type: 'hello', protocol, version, outpost })
    sendApplications()
    // Of people it is not known who changed while it was away.
    send({ type: 'people', user_ids: '*' })
    for await (const message of feed.endings(after)) {
      if (isOver || stream.destroyed) return
      send(message)
      if (stream.readableLength > aheadBytes)
        await new Promise<void>((resolve) => {
          wanted = resolve
          if (stream.destroyed) resolve()
        })
    }
    const since = waiting ?? []
    waiting = undefined
    for (const message of since) send(message)
    send({ type: 'current' })
  }
  begin().catch((error: Error) => {
    log.warn(
      { event: 'outpost.stream.failed', 'signet.outpost': outpost, error: error.message },
      'an outpost could not be told where things are',
    )
    stream.destroy()
  })
  if (stopping.aborted) end()
  return stream
}

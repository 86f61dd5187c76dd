/**
 * The parts behind the router. Loading their programs takes most of a start, and what an operator may have got wrong shows before, so the
 * server is ready without them: they are loaded right after, one after the other, and a request that comes sooner has its own part loaded at
 * once and waits for it. Nobody waits longer than for a server that loads everything first.
 *
 * A program that can't be loaded is a broken installation. A part that can't be opened, as when the database goes away just then, is opened
 * again until it can be.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { refuse } from './refuse.ts'

export type Handle = (request: IncomingMessage, response: ServerResponse) => void

export interface Part {
  handle: Handle
  /** Does what the first request would otherwise wait for. It may fail: then that request tries again. */
  prepare?(): Promise<void>
  close(): Promise<void>
}

export interface PartsOptions<Name extends string> {
  /** By name: loads the program, and answers what opens the part. */
  programs: Readonly<Record<Name, () => Promise<() => Promise<Part>>>>
  /** A part could not be opened; it is tried again after so many milliseconds. */
  onFault(name: NoInfer<Name>, error: Error): void
  againAfterMs?: number
}

export interface Parts<Name extends string> {
  readonly handle: Readonly<Record<Name, Handle>>
  /** Loads and opens all of them; rejects when a program can't be loaded. */
  load(): Promise<void>
  /** The one that could not be opened so far. */
  faulty(): Name | undefined
  /** Waits for what is being opened. */
  close(): Promise<void>
}

export const openParts = <Name extends string>({ programs, onFault, againAfterMs = 1_000 }: PartsOptions<Name>): Parts<Name> => {
  const names = Object.keys(programs) as Name[]
  const opening = new Map<Name, Promise<Part>>()
  const closing = new AbortController()
  const isClosed = () => closing.signal.aborted
  let faulty: Name | undefined

  const open = (name: Name): Promise<Part> => {
    if (isClosed()) return Promise.reject(new Error('the server is stopping'))
    let part = opening.get(name)
    if (!part) {
      part = programs[name]().then((openPart) => openPart())
      opening.set(name, part)
      part.catch(() => opening.delete(name))
    }
    return part
  }

  const openSurely = async (name: Name): Promise<void> => {
    await programs[name]()
    while (!isClosed()) {
      try {
        await open(name)
        faulty = undefined
        return
      } catch (error) {
        faulty = name
        onFault(name, error as Error)
        await delay(againAfterMs, undefined, { signal: closing.signal }).catch(() => {})
      }
    }
  }

  const handleOf = (name: Name): Handle => {
    let opened: Handle | undefined
    return (request, response) => {
      if (opened) return opened(request, response)
      open(name).then(
        ({ handle }) => {
          opened = handle
          // Who has gone meanwhile sends no body any more that could be waited for.
          if (!response.destroyed) handle(request, response)
        },
        () => refuse(request, response, { code: 'unavailable', detail: 'not everything of Signet is there yet', retryAfter: 2 }),
      )
    }
  }

  return {
    handle: Object.fromEntries(names.map((name) => [name, handleOf(name)])) as Record<Name, Handle>,
    faulty: () => faulty,
    load: async () => {
      for (const name of names) if (!isClosed()) await openSurely(name)
      for (const part of opening.values()) if (!isClosed()) await (await part).prepare?.().catch(() => {})
    },
    close: async () => {
      closing.abort()
      for (const part of [...opening.values()].reverse()) await part.then(({ close }) => close()).catch(() => {})
    },
  }
}

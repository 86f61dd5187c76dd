/** A way to PostgreSQL on which notices can be lost, or everything: as with a pooler that hands on no notice, or a network that broke. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface DeafDatabase {
  url: string
  /** Ends the connection that listens and lets none take its place; all others go on. */
  deafen(): void
  /** Ends every connection and lets none take its place. */
  cut(): void
  /** Whoever connects now gets through. */
  heal(): void
  close(): void
}

/** What a connection that listens calls itself when it begins. */
const listening = 'signet listen'

export const deafDatabase = async (url: string): Promise<DeafDatabase> => {
  const to = new URL(url)
  const open = new Map<Socket, { listens: boolean }>()
  let lets: 'all' | 'deaf' | 'none' = 'all'
  const end = (only: (one: { listens: boolean }) => boolean) => {
    for (const [socket, one] of open) if (only(one)) socket.destroy()
  }
  const server = createServer((socket) => {
    const one = { listens: false }
    open.set(socket, one)
    socket.on('error', () => {})
    socket.once('close', () => open.delete(socket))
    socket.once('data', (first) => {
      one.listens = first.includes(listening)
      if (lets === 'none' || (lets === 'deaf' && one.listens)) return socket.destroy()
      const out = connect(Number(to.port), to.hostname)
      out.on('error', () => socket.destroy())
      out.once('close', () => socket.destroy())
      socket.once('close', () => out.destroy())
      out.write(first)
      socket.pipe(out)
      out.pipe(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)
  return {
    url: through.href,
    deafen: () => {
      lets = 'deaf'
      end(({ listens }) => listens)
    },
    cut: () => {
      lets = 'none'
      end(() => true)
    },
    heal: () => {
      lets = 'all'
    },
    close: () => {
      server.close()
      end(() => true)
    },
  }
}

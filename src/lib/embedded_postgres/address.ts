import { createServer } from 'node:net'
import { join } from 'node:path'

const longestSocketPath = 100

/** Where it listens: settings of PostgreSQL, and the part of the url that says so. */
export const findAddress = async (data: string): Promise<{ settings: Record<string, string>; host: string; query: string }> => {
  if (process.platform !== 'win32' && Buffer.byteLength(join(data, '.s.PGSQL.5432')) <= longestSocketPath) {
    return {
      settings: { listen_addresses: '', unix_socket_directories: data, unix_socket_permissions: '0700', port: '5432' },
      host: 'localhost:5432',
      query: `?host=${encodeURIComponent(data)}`,
    }
  }
  const port = await freePort()
  return {
    settings: { listen_addresses: '127.0.0.1', unix_socket_directories: '', port: String(port) },
    host: `127.0.0.1:${port}`,
    query: '',
  }
}

const freePort = (): Promise<number> =>
  new Promise((done, fail) => {
    const server = createServer()
    server.on('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => done(typeof address === 'object' && address ? address.port : 0))
    })
  })

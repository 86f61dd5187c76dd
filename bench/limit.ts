/**
 * The limit: what one Node process could reach if a provider did nothing but the unavoidable. A bare `node:http` server; each route
 * computes the hashes and signatures that its answer consists of, and where an answer must be durable it runs one named prepared
 * statement. No validation beyond what the statement itself decides, no headers but the necessary ones, no log, no metrics.
 *
 * Started by the bench as a process of its own: `limit.ts DATABASE_URL SESSIONS`; it writes its port as its first line.
 */
import { argon2, createPrivateKey, generateKeyPairSync, hash, randomBytes, sign, timingSafeEqual } from 'node:crypto'
import { Agent, request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import pg from 'pg'

const [, , url, sessions = '16', upstream = ''] = process.argv
const db = new pg.Pool({ connectionString: url, max: 10 })

const sha256 = (value: string) => hash('sha256', value, 'buffer')
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }))
const header = { at: encode({ alg: 'ES256', typ: 'at+jwt', kid: 'limit' }), id: encode({ alg: 'ES256', typ: 'JWT', kid: 'limit' }) }
const issueJwt = (type: keyof typeof header, claims: object): string => {
  const iat = Math.floor(Date.now() / 1000)
  const input = `${header[type]}.${encode({ iss: 'http://limit', iat, exp: iat + 600, ...claims })}`
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}
const accessToken = (sub: string) =>
  issueJwt('at', {
    sub,
    aud: 'http://limit',
    client_id: 'bench',
    scope: 'openid profile email',
    jti: randomBytes(16).toString('base64url'),
  })
const idToken = (sub: string) => issueJwt('id', { sub, aud: 'bench', auth_time: 1_700_000_000, sid: 'limit' })

const secretHash = sha256('bench-secret')
const authenticated = ({ headers }: IncomingMessage): boolean => {
  const [, secret = ''] = Buffer.from((headers.authorization ?? '').slice(6), 'base64')
    .toString()
    .split(':')
  return timingSafeEqual(sha256(secret), secretHash)
}

const salt = randomBytes(16)
const argon2Async = promisify(argon2)
const hashPassword = (message: string) =>
  argon2Async('argon2id', { message: Buffer.from(message), nonce: salt, parallelism: 1, tagLength: 32, memory: 19_456, passes: 2 })
const passwordHash = await hashPassword('correct horse battery staple')

await db.query(`
  drop schema if exists bench_limit cascade; create schema bench_limit; set search_path to bench_limit;
  create table users (user_id text primary key, name text not null, email text not null);
  create table sessions (token_hash bytea primary key, user_id text not null);
  create table codes (code_hash bytea primary key, user_id text not null, challenge text not null, expires_at timestamptz not null);
  create table access_tokens (token_hash bytea primary key, user_id text not null, scope text not null, expires_at timestamptz not null);
  create table refresh_tokens (token_hash bytea primary key, user_id text not null, used_at timestamptz);
  insert into users values ('ann', 'Ann', 'ann@example.com');
  insert into sessions select sha256(('session-' || n)::bytea), 'ann' from generate_series(0, ${Number(sessions) - 1}) n;
  insert into access_tokens select sha256(('access-' || n)::bytea), 'ann', 'openid profile email', now() + interval '1 day' from generate_series(0, ${Number(sessions) - 1}) n;
  insert into refresh_tokens select sha256(('refresh-' || n)::bytea), 'ann' from generate_series(0, ${Number(sessions) - 1}) n;
`)

const query = async <Row>(name: string, text: string, values: unknown[]): Promise<Row> => {
  const row = (await db.query({ name, text, values })).rows[0] as Row | undefined
  if (row === undefined) throw new Error(`${name}: nothing found`)
  return row
}

const people = new Map(Array.from({ length: Number(sessions) }, (_, number) => [`session=session-${number}`, 'ann']))

const readBody = (request: IncomingMessage) =>
  new Promise<URLSearchParams>((resolve, reject) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => resolve(new URLSearchParams(body)))
    request.on('error', reject)
  })

const json = (response: ServerResponse, answer: object) => {
  const body = JSON.stringify(answer)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' })
  response.end(body)
}

const grants: Record<string, (form: URLSearchParams) => object | Promise<object>> = {
  client_credentials: () => ({ access_token: accessToken('bench'), token_type: 'Bearer', expires_in: 600 }),
  authorization_code: async (form) => {
    const { user_id } = await query<{ user_id: string }>(
      'consume_code',
      'delete from bench_limit.codes where code_hash = $1 and challenge = $2 and expires_at > $3 returning user_id',
      [sha256(form.get('code') ?? ''), sha256(form.get('code_verifier') ?? '').toString('base64url'), new Date()],
    )
    return { access_token: accessToken(user_id), id_token: idToken(user_id), token_type: 'Bearer', expires_in: 600 }
  },
  refresh_token: async (form) => {
    const next = randomBytes(32).toString('base64url')
    const { user_id } = await query<{ user_id: string }>(
      'rotate_refresh_token',
      `with used as (update bench_limit.refresh_tokens set used_at = $2 where token_hash = $1 and used_at is null returning user_id)
       insert into bench_limit.refresh_tokens (token_hash, user_id) select $3, user_id from used returning user_id`,
      [sha256(form.get('refresh_token') ?? ''), new Date(), sha256(next)],
    )
    return { access_token: accessToken(user_id), id_token: idToken(user_id), refresh_token: next, token_type: 'Bearer', expires_in: 600 }
  },
}

const kept = new Agent({ keepAlive: true })

const routes: Record<string, (request: IncomingMessage, response: ServerResponse, query: string) => Promise<void>> = {
  '/authorize': async (request, response, parameters) => {
    const search = new URLSearchParams(parameters)
    const code = randomBytes(32).toString('base64url')
    await query(
      'store_code',
      `insert into bench_limit.codes (code_hash, user_id, challenge, expires_at)
       select $1, user_id, $2, $3 from bench_limit.sessions where token_hash = $4 returning 1 as stored`,
      [
        sha256(code),
        search.get('code_challenge'),
        new Date(Date.now() + 60_000),
        sha256((request.headers.cookie ?? '').slice('session='.length)),
      ],
    )
    response.writeHead(303, { location: `${search.get('redirect_uri')}?code=${code}&state=${search.get('state')}`, 'content-length': 0 })
    response.end()
  },
  '/token': async (request, response) => {
    const form = await readBody(request)
    if (!authenticated(request)) throw new Error('wrong secret')
    const grant = grants[form.get('grant_type') ?? '']
    if (!grant) throw new Error('unknown grant')
    json(response, await grant(form))
  },
  // A token may have been revoked, so that its row must be seen; and whoever sees the row needs no signature.
  '/introspect': async (request, response) => {
    const form = await readBody(request)
    if (!authenticated(request)) throw new Error('wrong secret')
    const { user_id, scope } = await query<{ user_id: string; scope: string }>(
      'find_token',
      'select user_id, scope from bench_limit.access_tokens where token_hash = $1 and expires_at > $2',
      [sha256(form.get('token') ?? ''), new Date()],
    )
    json(response, { active: true, sub: user_id, scope })
  },
  '/userinfo': async ({ headers }, response) => {
    const { user_id, name, email } = await query<{ user_id: string; name: string; email: string }>(
      'find_person',
      `select user_id, name, email from bench_limit.access_tokens join bench_limit.users using (user_id)
        where token_hash = $1 and expires_at > $2`,
      [sha256((headers.authorization ?? '').slice('Bearer '.length)), new Date()],
    )
    json(response, { sub: user_id, name, email })
  },
  // Whoever was seen before is known: nothing has to be stored, signed or opened.
  '/forward': async ({ headers }, response) => {
    const username = people.get(headers.cookie ?? '')
    if (username === undefined) throw new Error('nobody')
    response.writeHead(200, {
      'X-Signet-Username': username,
      'X-Signet-Email': 'ann@example.com',
      'X-Signet-Name': 'Ann',
      'X-Signet-Groups': '',
      'X-Signet-Uid': username,
      'X-Signet-Entitlements': '',
      'content-length': 0,
      'cache-control': 'no-store',
    })
    response.end()
  },
  '/proxied/page': (request, response) =>
    new Promise((resolve, reject) => {
      const to = new URL(request.url ?? '', upstream)
      const out = ask(to, { agent: kept, method: request.method ?? 'GET', headers: { ...request.headers, host: to.host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response).once('close', resolve)
      })
      out.once('error', reject)
      request.pipe(out)
    }),
  '/password': async (request, response) => {
    const form = await readBody(request)
    if (!timingSafeEqual(await hashPassword(form.get('password') ?? ''), passwordHash)) throw new Error('wrong password')
    json(response, {})
  },
}

const server = createServer((request, response) => {
  const [path = '', search = ''] = (request.url ?? '').split('?')
  const route = routes[path]
  if (!route) response.writeHead(404).end()
  else
    route(request, response, search).catch((error: Error) => {
      response.writeHead(400).end(error.message)
    })
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('SIGTERM', () => process.exit(0))

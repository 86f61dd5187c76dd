/**
 * SHA-crypt, `$5$` (SHA-256) and `$6$` (SHA-512) of crypt(3), perhaps with `rounds=N$` and behind `{CRYPT}`. The names A, B, DP, DS, P and S and the steps
 * are those of Ulrich Drepper's specification ("Unix crypt using SHA-256 and SHA-512", version 0.6).
 */
import { hash as digestOf } from 'node:crypto'
import { sameSecret } from '#/lib/crypto.ts'
import { renderCrypt64 } from './crypt_base64.ts'
import type { Scheme } from './scheme.ts'

const usualRounds = 5_000
const fewestRounds = 1_000
const mostRounds = 1_000_000

const pattern = /^(?:\{(?:CRYPT|crypt)\})?\$(5|6)\$(?:rounds=(\d{1,9})\$)?([^$]{0,16})\$([./A-Za-z0-9]{43}|[./A-Za-z0-9]{86})$/

interface Variant {
  algorithm: 'sha256' | 'sha512'
  bytes: number
  /** Which bytes of the digest make each group of four characters; the last group has what is left. */
  order: number[][]
}

/** The specification lists them; they go round by thirds. */
const turns = (groups: number, steps: [number, number, number], step: [number, number, number]): number[][] =>
  Array.from({ length: groups }, (_, i) => {
    const shift = i % 3
    const row = steps.map((start) => start + i)
    return [row[step[shift] ?? 0] ?? 0, row[((step[shift] ?? 0) + 1) % 3] ?? 0, row[((step[shift] ?? 0) + 2) % 3] ?? 0]
  })

const variants: Record<string, Variant> = {
  5: { algorithm: 'sha256', bytes: 32, order: [...turns(10, [0, 10, 20], [0, 2, 1]), [31, 30]] },
  6: { algorithm: 'sha512', bytes: 64, order: [...turns(21, [0, 21, 42], [0, 1, 2]), [63]] },
}

const repeat = (bytes: Buffer, length: number): Buffer => Buffer.alloc(length, bytes)

const compute = (password: Buffer, salt: Buffer, rounds: number, { algorithm, bytes, order }: Variant): string => {
  const digest = (...parts: Buffer[]): Buffer => digestOf(algorithm, Buffer.concat(parts), 'buffer')
  const B = digest(password, salt, password)
  const mixed = [password, salt, repeat(B, password.length)]
  for (let bits = password.length; bits > 0; bits >>= 1) mixed.push(bits & 1 ? B : password)
  const A = digest(...mixed)
  const DP = digest(repeat(password, password.length * password.length))
  const P = password.length ? repeat(DP, password.length) : Buffer.alloc(0)
  const DS = digest(repeat(salt, salt.length * (16 + (A[0] ?? 0))))
  const S = salt.length ? repeat(DS, salt.length) : Buffer.alloc(0)
  let C = A
  for (let i = 0; i < rounds; i++) {
    const round = [i & 1 ? P : C]
    if (i % 3) round.push(S)
    if (i % 7) round.push(P)
    round.push(i & 1 ? C : P)
    C = digest(...round)
  }
  assertLength(C, bytes)
  return order
    .map((group) =>
      renderCrypt64(
        group.reduce((value, index) => value * 256 + (C[index] ?? 0), 0),
        group.length === 3 ? 4 : group.length + 1,
      ),
    )
    .join('')
}

const assertLength = (bytes: Buffer, length: number): void => {
  if (bytes.length !== length) throw new Error('a digest has the length of its algorithm')
}

export const sha_crypt: Scheme = {
  parse: (text) => {
    const match = pattern.exec(text)
    if (!match) return undefined
    const [, id = '', given, salt = '', hash = ''] = match
    const variant = variants[id]
    if (!variant || hash.length !== (id === '5' ? 43 : 86)) return { refused: 'has a hash of an impossible length' }
    const rounds = given === undefined ? usualRounds : Math.max(fewestRounds, Number(given))
    if (rounds > mostRounds) return { refused: `costs too much: at most ${mostRounds} rounds are taken` }
    return {
      form: `sha_crypt ${id} ${rounds}`,
      blocks: true,
      isCurrent: false,
      verify: (plain) => sameSecret(compute(Buffer.from(plain), Buffer.from(salt), rounds, variant), hash),
    }
  },
}

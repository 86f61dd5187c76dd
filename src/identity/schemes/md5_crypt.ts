/** md5crypt, `$1$salt$hash` of crypt(3) (perhaps behind `{CRYPT}`) and Apache's `$apr1$`: Poul-Henning Kamp's thousand rounds of MD5. */
import { hash as digestOf } from 'node:crypto'
import { sameSecret } from '#/lib/crypto.ts'
import { renderCrypt64 } from './crypt_base64.ts'
import type { Scheme } from './scheme.ts'

const pattern = /^(?:\{(?:CRYPT|crypt)\})?(\$(?:1|apr1)\$)([^$]{0,8})\$([./A-Za-z0-9]{22})$/

const md5 = (...parts: Buffer[]): Buffer => digestOf('md5', Buffer.concat(parts), 'buffer')

const rounds = 1_000

const compute = (password: Buffer, magic: string, saltText: string): string => {
  const salt = Buffer.from(saltText)
  const alternate = md5(password, salt, password)
  const mixed = [password, Buffer.from(magic), salt]
  for (let left = password.length; left > 0; left -= 16) mixed.push(alternate.subarray(0, Math.min(16, left)))
  for (let bits = password.length; bits > 0; bits >>= 1) mixed.push(bits & 1 ? Buffer.from([0]) : password.subarray(0, 1))
  let last = md5(...mixed)
  for (let i = 0; i < rounds; i++) {
    const round = [i & 1 ? password : last]
    if (i % 3) round.push(salt)
    if (i % 7) round.push(password)
    round.push(i & 1 ? last : password)
    last = md5(...round)
  }
  const byte = (i: number): number => last[i] ?? 0
  const three = (a: number, b: number, c: number) => renderCrypt64((byte(a) << 16) | (byte(b) << 8) | byte(c), 4)
  return three(0, 6, 12) + three(1, 7, 13) + three(2, 8, 14) + three(3, 9, 15) + three(4, 10, 5) + renderCrypt64(byte(11), 2)
}

export const md5_crypt: Scheme = {
  parse: (text) => {
    const match = pattern.exec(text)
    if (!match) return undefined
    const [, magic = '', salt = '', hash = ''] = match
    return {
      form: 'md5_crypt',
      blocks: true,
      isCurrent: false,
      verify: (plain) => sameSecret(compute(Buffer.from(plain), magic, salt), hash),
    }
  },
}

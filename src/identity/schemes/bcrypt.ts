/**
 * bcrypt: `$2b$12$` and 53 characters, with the letters a, b and y for the same algorithm. Django puts `bcrypt$` before it, or `bcrypt_sha256$`
 * when it hashes the password with SHA-256 first; LDAP puts `{CRYPT}` or `{BCRYPT}`. Like every bcrypt it looks at the first 72 bytes only.
 */
import { createHash } from 'node:crypto'
import { compareSync } from 'bcryptjs'
import type { Scheme } from './scheme.ts'

const dearest = 15

const pattern = /^(?:(bcrypt|bcrypt_sha256)\$|\{(?:CRYPT|BCRYPT|crypt|bcrypt)\})?(\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53})$/

export const bcrypt: Scheme = {
  parse: (text) => {
    const match = pattern.exec(text)
    if (!match) return undefined
    const [, before, hash = '', cost] = match
    if (Number(cost) < 4 || Number(cost) > dearest)
      return { refused: `costs too much or too little: bcrypt is taken with a cost from 4 to ${dearest}` }
    return {
      form: `bcrypt ${cost}`,
      blocks: true,
      isCurrent: false,
      // bcryptjs compares in constant time.
      verify: (plain) => compareSync(before === 'bcrypt_sha256' ? createHash('sha256').update(plain).digest('hex') : plain, hash),
    }
  },
}

import { argon2 } from './argon2.ts'
import { bcrypt } from './bcrypt.ts'
import { md5_crypt } from './md5_crypt.ts'
import { pbkdf2 } from './pbkdf2.ts'
import { salted_sha } from './salted_sha.ts'
import type { Scheme } from './scheme.ts'
import { scrypt } from './scrypt.ts'
import { sha_crypt } from './sha_crypt.ts'

/** Every way of storing a password that we can verify. Ours is argon2; the others come by import and go at the next sign-in. */
export const schemes = { argon2, bcrypt, pbkdf2, scrypt, salted_sha, md5_crypt, sha_crypt } satisfies Record<string, Scheme>

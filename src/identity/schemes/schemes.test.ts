import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { findStoredHash, parseStoredHash } from '../stored_hash.ts'
import { hashArgon2id } from './argon2.ts'

const password = 'pässword-ü 1'

/** Tool that made it, what it made, of which password. */
const made: [string, string, string][] = [
  ['Django 5.2.19 pbkdf2_sha256', 'pbkdf2_sha256$1000000$sko8FyGHhsMuxYqtudHMsu$Tg5fG2hiSwa+UEFcN6FmxMn1+qfCNw1PBa9NbkKfPz4=', password],
  ['Django 5.2.19 pbkdf2_sha1', 'pbkdf2_sha1$1000000$1vgvSUB9i8jrUkvSIxONFq$Xdfe9Cn/z51YPBpY9cu0v8AkOoA=', password],
  [
    'Django 5.2.19 argon2',
    'argon2$argon2id$v=19$m=102400,t=2,p=8$UUk0a2psUThIdFp0c3VkSVltODIySg$3fZ94HPoKEnl9ESAd8ytXpBG6a0fSk3HlG1UIvrwdks',
    password,
  ],
  ['Django 5.2.19 bcrypt_sha256', 'bcrypt_sha256$$2b$12$wpxUyY9GJZBKe7CWJs0oBuX6IVqkmnSyYd5k3n5512zIoBleAya.W', password],
  ['Django 5.2.19 bcrypt', 'bcrypt$$2b$12$wRD5k.9V7V.8iklReVfhOue/38Kg.tdcNP6EPjZIQ6FYr08RMSk/y', password],
  [
    'Django 5.2.19 scrypt',
    'scrypt$16384$OspSfBJt3liBl8AzRjrnOk$8$5$UiXnSaP5JUAMhAqF1+QxI2E47nPuYRa8pnT84DE6G3hpriEQ9m4KxPwtpcV5wb5hwqnDRqOBhXmFgHBvY6k/hA==',
    password,
  ],
  ['passlib pbkdf2_sha256', '$pbkdf2-sha256$29000$C8HYe.9dyzkHAIBQCoGwtg$IjFAe4lA.C0.MdMKCK1zohgOyiS7b1ta923YT5fiXog', password],
  [
    'passlib pbkdf2_sha512',
    '$pbkdf2-sha512$25000$DoHwfi/lHMM4Z8w5Z6zVWg$5WCKYqjPZg/fiw86c0XsVaGTXNWGlsJF89NSUdosa.LIXddyJCATcsWPflIBCMNeLlCV.RapB0qtw1pXC0yedg',
    password,
  ],
  ['passlib pbkdf2_sha1', '$pbkdf2$131000$uFcKQSjlXGvNWUvpXasVQg$L/OPrz1n/qDPXfhX5pMx.2EdqXY', password],
  ['passlib scrypt', '$scrypt$ln=14,r=8,p=1$9f5/T4nR2jvHmFOKcU4JIQ$TqZTaGqg2e6PEJC3gtcWXNUpbtHjxTJDhQbe7N8palo', password],
  ['passlib ldap_pbkdf2_sha256', '{PBKDF2-SHA256}29000$qlWKESKE8J6Tci7lnJNSag$jEfsAIjroH5nzpVy01KNDFv2Cqxvi/0OccaKQBw2jt8', password],
  ['passlib argon2id', '$argon2id$v=19$m=65536,t=3,p=4$05rz3luLsRYiJERI6Z3zPg$arNTLfw9+6QING9CeoxDnRbaV2xBeD/pyFfSoSIaHso', password],
  ['passlib argon2i', '$argon2i$v=19$m=65536,t=3,p=4$JcR4r9U6ByDEmLM2htDaWw$LCbDaNKSWDq5287XKKmM/utkVHlQ57PZXGow7hAx5vE', password],
  [
    'passlib sha512_crypt rounds',
    '$6$rounds=20000$3QWm2mj37nTfmzR8$Wv0/ym1QQvblhTjFL4Qj3tgvm0jUK0tuBH6Z8i6U6nulmobi4IkeAO71f0ls/GRiBo4rZhkXN351kp.JLg3rC.',
    password,
  ],
  [
    'Werkzeug scrypt',
    'scrypt:32768:8:1$pleAQPIHsj8Ftcam$61fead2e45e1a702e9ff47c993bf2fea6e2964187c57fd84ec0aa3c8bc22ce56d47349328ce00d90a61456b916a310e9d5697f2b7d5906df6f99b39ebf18c972',
    password,
  ],
  ['Werkzeug pbkdf2', 'pbkdf2:sha256:100000$zXYa0pqLDxFbKr3o$4130f430a08d9592aa5060ef8957bd2aa7741ab2c231a8845a9afb6116323b6c', password],
  ['crypt(3) MD5', '$1$ZwwjT3zB$MTH2JVusRVCLHvyUf8I5i/', password],
  ['crypt(3) SHA256', '$5$3Fpp7Eek518pylL2$XZCxP8i6MRXnt./qVw//ERQaQEG8iNZoaIc8GaDwDP4', password],
  [
    'crypt(3) SHA512',
    '$6$WJxspV5ca5Q30nJk$bfPVJ.I21oak7p6v.vDflRxQm9knXBwV2gtyyPLR4ibl7VDDKXdZvTrgmc1JLwQGp.ZTp/BoR.QXt692tSH1q/',
    password,
  ],
  ['crypt(3) BLOWFISH', '$2b$05$pcGCIn4WcWJm5z5mY76LVeMJ/lEHoNqBMZyRO9T8NFg8Z4b8YgdAC', password],
  [
    'openssl passwd -6, 1 bytes',
    '$6$khjSMsTXu01M/5Qt$gIpx4XSC2yExB2ndffoP6BGCDLgCqm2f6dz1v2rDEecSjLaP8JaH2c.HSushwtQiFd/1uYm8AHmRaXhagEnwT0',
    'x',
  ],
  ['openssl passwd -5, 1 bytes', '$5$IcesvoAidYaHcaUk$KiP8YjzWar0Ive.RGt8mQZetKp7WcwtjQGUPcHwNDC0', 'x'],
  ['openssl passwd -1, 1 bytes', '$1$S6DQr2XR$xHHMHVJzcBKRkwk.5jzrl.', 'x'],
  [
    'openssl passwd -6, 16 bytes',
    '$6$eUmHoFSxlSWbMFwi$My.RPrlLTwWW7l35MDvUjCA6MU17DZ467M3.ukIeRuTmuF1VJjcCk3mf61mtEVP3vT0HE0b.Z4RCN/hqiW3hC1',
    'x'.repeat(16),
  ],
  ['openssl passwd -5, 16 bytes', '$5$PZGL5YPleDbWc2kY$QI.b82dHy5y4m12pHdcn31SBHlYxraCggrEmHPZcIs8', 'x'.repeat(16)],
  ['openssl passwd -1, 16 bytes', '$1$lkeTiwuy$5RqopwODeJiRhrqZj7WHm.', 'x'.repeat(16)],
  [
    'openssl passwd -6, 33 bytes',
    '$6$gv3pni4bwodmvIBk$fxF0dxbXRch.079heusH8lRLsZa25qO4NCslJvGUx0C682HfHnBhBDg76e7MeneYJm6x0yCE9egJNkKxxZU7Q0',
    'x'.repeat(33),
  ],
  ['openssl passwd -5, 33 bytes', '$5$QcPhtbWojA0Tq3s0$C4TfuhB2qw9YWS5dCGuG.E37.B/Dq5xyQQmP4O0/w/B', 'x'.repeat(33)],
  ['openssl passwd -1, 33 bytes', '$1$CpK74Alm$197YDxmNuxgVgOsGJGVpl0', 'x'.repeat(33)],
  [
    'openssl passwd -6, 65 bytes',
    '$6$dMkNmK0jy07OE59W$R.02K6eUtguIdLTcE/SYAX1gCQI8dN/VRZrtc/fyWk0crbwk/X6krbbdNS49a6meTA1bR0XD5Xlb22axVuTh21',
    'x'.repeat(65),
  ],
  ['openssl passwd -5, 65 bytes', '$5$wReqW4YGwwW9EzCl$o9Jv.PNJoCUdc3n.UjRvr2xBLPCv0CcDAdoG4g10XKA', 'x'.repeat(65)],
  ['openssl passwd -1, 65 bytes', '$1$hwhPU1EX$gTfRdaAPlCb5uV7r6hRR5/', 'x'.repeat(65)],
  [
    'openssl passwd -6, 130 bytes',
    '$6$rKVkpMH7EPDE.fwL$poYL7k3e2cYqOkESiPptBlTRw3kAib9uCHNcX51AipcUSKKn1HmZiTFkaxJwXNfqJGyAcqpyno5FhY7FHxcI11',
    'x'.repeat(130),
  ],
  ['openssl passwd -5, 130 bytes', '$5$Qlfr5.AA.yvskdsE$fIMCco2Q0nf.QOu2G.rrDRCXUTTAEjulvSnfXfb.xL3', 'x'.repeat(130)],
  ['openssl passwd -1, 130 bytes', '$1$jm.3bWle$MXXRK5ilYr2AYlD3nRXwq1', 'x'.repeat(130)],
  ['openssl passwd -apr1', '$apr1$km2V31Uu$eNT2YnuKe5K62euMYSF2b0', password],
  ['slappasswd {SSHA}', '{SSHA}03qFxPZGOGbHOlHicOrENGG+w1qOx80V', password],
  ['slappasswd {SHA}', '{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM=', password],
  ['slappasswd {MD5}', '{MD5}vA4MA/G25utLIVTUx4odIQ==', password],
  ['slappasswd {SMD5}', '{SMD5}qTJePUOAjsgSpXdiSDiXvXtpT0o=', password],
  ['slappasswd {SSHA256}', '{SSHA256}hTewkbouF8SEdQ+3IY9lzJ2Ldlcn+lfEhlZlFK/aM+93vbUUAnQ1dA==', password],
  [
    'slappasswd {SSHA512}',
    '{SSHA512}Tc9muKNoUVNzONdpKy79GsWdN5bAtCLMb+nAAQGgI5SRup7dnhBrbiQ4uugeWqga0tcsK9HbrblVbuVhiPGx5C000VaMHkqA',
    password,
  ],
  ['slappasswd {SHA256}', '{SHA256}VDQP/NNAUwgVAtjre335G7l6rFUzERdBt7wqiAfhuwU=', password],
  ['slappasswd {SSHA384}', '{SSHA384}d99/GSChLpZTDwlPsefOswqVwwOmgCUQUixWK6dKolXF48SNm1+HlwK2edo0tfEBkHlh+1NOERM=', password],
  [
    'slappasswd {ARGON2}',
    '{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$0Cw74kyDZHM2V2WTT5LW5w$HYJIC/u5B88tW2abfwG+nOV4i0oaqQZXMOaEqjbJzF0',
    password,
  ],
  [
    'slappasswd {CRYPT} -c $6$',
    '{CRYPT}$6$K.xMqOAR7fWlq5zo$qBeOqXwwoWLs60FkoQ51.REyY8qrGto8avT60.RTVl/FbaiDMkIrGq8Aphw9aur9UgSpd.xaF5m3LWkWRdPIk1',
    password,
  ],
  ['htpasswd -B', '$2y$05$9k0FnIl.FKsBHrS8DDsEweASRFF0ORjhIMLAwVlta2.1tQgegGhIy', password],
  ['htpasswd -m', '$apr1$7URZ7Kd8$XfdukFcSmcVNSncFQgBkz.', password],
  ['htpasswd -s', '{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM=', password],
  ['passlib bcrypt $2y$', '$2y$05$seoaeyDRrxbKQk6DNhaADu69Gaode.N3ZfbXAIjxlX4ZBwqUxT92S', password],
  ['bcrypt 100 bytes', '$2b$05$o/a0iWbjeXMkeXTBAkWw2.qV2gR181i5qYEFLGoLs6/L0.CeaPoK2', 'y'.repeat(100)],
  [
    'Keycloak, 256, as docs/guides/users.md converts it',
    '$pbkdf2-sha256$i=27500$NiU9R8aGLumE/MofgUiZLw==$kJhf7shgZWb3ma2RXgD5DmGe+rX96LM0+s1yJZk3lelKpc9MG/ogjUy+l5hOqiSgHmqb+yByJaogKKR60BaAPA==',
    'keycloak pass',
  ],
  [
    'Keycloak, 1, as docs/guides/users.md converts it',
    '$pbkdf2-sha1$i=20000$NiU9R8aGLumE/MofgUiZLw==$Y4Jv9pqaMxiM0rg7cK5v24W1Qln+R1Zx8NVzaUrRNSkCVM2zC5vb8TXYVwYwwKPqvgs8f6offrVzHn+SE3gYBw==',
    'keycloak pass',
  ],
  [
    'Keycloak, argon, as docs/guides/users.md converts it',
    '$argon2id$v=19$m=7168,t=5,p=1$NiU9R8aGLumE/MofgUiZLw==$Xvz7r66NxlJooJo2b9ztN4+RaAWW02sN99R46FtQo0o=',
    'keycloak pass',
  ],
]

for (const [tool, hash, plain] of made)
  test(`a hash of ${tool} is verified`, async () => {
    const stored = parseStoredHash(hash)
    assert.equal(await stored.verify(plain), true)
    assert.equal(await stored.verify(`${plain.slice(0, -1)}z`.slice(0, 60)), false)
    assert.equal(stored.isCurrent, false)
  })

test('our own hash is verified and is current', async () => {
  const stored = parseStoredHash(await hashArgon2id(password))
  assert.equal(await stored.verify(password), true)
  assert.equal(await stored.verify('password'), false)
  assert.equal(stored.isCurrent, true)
})

test('two hashes of one password differ', async () => {
  assert.notEqual(await hashArgon2id(password), await hashArgon2id(password))
})

const b64 = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64').replace(/=+$/, '')

/** Why it is not taken, and the hash. */
const refused: [string, string][] = [
  ['plain text', 'secret'],
  ['an empty text', ''],
  ['DES crypt', '{CRYPT}rl0uE0w3gJ3mQ'],
  ['yescrypt', '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'],
  ['an unknown LDAP scheme', '{CLEARTEXT}secret'],
  ['Argon2 that wants 4 GiB', `$argon2id$v=19$m=4194304,t=1,p=1$${b64(16)}$${b64(32)}`],
  ['Argon2 with 100 passes', `$argon2id$v=19$m=19456,t=100,p=1$${b64(16)}$${b64(32)}`],
  ['Argon2 with 255 lanes', `$argon2id$v=19$m=19456,t=1,p=255$${b64(16)}$${b64(32)}`],
  ['Argon2 with less memory than it has lanes for', `$argon2id$v=19$m=8,t=1,p=2$${b64(16)}$${b64(32)}`],
  ['Argon2 with a tag of 3 bytes', `$argon2id$v=19$m=19456,t=1,p=1$${b64(16)}$AAAA`],
  ['Argon2 version 16', `$argon2id$v=16$m=19456,t=2,p=1$${b64(16)}$${b64(32)}`],
  ['bcrypt with cost 31', '$2b$31$pcGCIn4WcWJm5z5mY76LVeMJ/lEHoNqBMZyRO9T8NFg8Z4b8YgdAC'],
  ['bcrypt with the broken letter x', '$2x$05$pcGCIn4WcWJm5z5mY76LVeMJ/lEHoNqBMZyRO9T8NFg8Z4b8YgdAC'],
  ['bcrypt cut short', '$2b$05$pcGCIn4WcWJm5z5mY76LVeMJ/lEHoNqBMZyRO9T8NFg8Z4b8YgdA'],
  ['PBKDF2 with 999999999 iterations', `pbkdf2_sha256$999999999$salt$${b64(32)}`],
  ['PBKDF2 whose long hash multiplies its iterations', `$pbkdf2-sha256$i=2000000$${b64(16)}$${b64(128)}`],
  ['PBKDF2 without iterations', `pbkdf2_sha256$0$salt$${b64(32)}`],
  ['PBKDF2 with a hash of 4 bytes', 'pbkdf2_sha256$1000$salt$AAAAAA=='],
  ['PBKDF2 of an unknown digest', `pbkdf2_whirlpool$1000$salt$${b64(32)}`],
  ['scrypt that wants 8 GiB', `$scrypt$ln=23,r=8,p=1$${b64(16)}$${b64(32)}`],
  ['scrypt whose N is not a power of two', `scrypt$16383$salt$8$1$${b64(64)}`],
  ['scrypt with ln=99', `$scrypt$ln=99,r=8,p=1$${b64(16)}$${b64(32)}`],
  ['SHA-crypt with 999999999 rounds', `$6$rounds=999999999$salt$${'a'.repeat(86)}`],
  ['SHA-crypt with the length of the other', `$6$salt$${'a'.repeat(43)}`],
  ['{SSHA} without a salt', '{SSHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM='],
  ['{SHA} with a salt', '{SHA}03qFxPZGOGbHOlHicOrENGG+w1qOx80V'],
  ['{SSHA} with a salt of a kilobyte', `{SSHA}${b64(700)}`],
  ['a novel', `{SSHA}${'A'.repeat(5_000)}`],
]

for (const [what, hash] of refused)
  test(`import refuses ${what}`, () => {
    assert.throws(
      () => parseStoredHash(hash),
      (error) =>
        error instanceof Problem &&
        error.code === 'invalid' &&
        error.errors[0]?.pointer === '/passwordHash' &&
        !(hash && error.message.includes(hash)),
    )
    assert.equal(findStoredHash(hash), undefined)
  })

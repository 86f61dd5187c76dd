/** Nobody can tell by what is answered, nor by how long it takes, whether someone exists: signing in, recovering an account, enrolling. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { request } from 'undici'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { chanceOfLonger, farthestByChance, interleaved } from '../support/timing.ts'

const password = 'quiet harbour lantern 7'
const kinds = ['known', 'unknown', 'inactive', 'without'] as const
type Kind = (typeof kinds)[number]

describe('whether someone exists', () => {
  let signet: Signet
  let mail: MailServer
  before(async () => {
    mail = await startMailServer()
    // What is tried comes from many networks: one of them would soon be locked out.
    const settings = { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>', TRUSTED_PROXIES: '127.0.0.1/32 ::1/128' }
    signet = await startSignet({ settings })
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: code-first, namespace: default }
spec: { designation: authentication, stages: [{ stage: identification }, { stage: authenticator_validate }, { stage: user_login }] }
`)
    for (let index = 0; index < perKind; index++)
      for (const kind of kinds) {
        if (kind === 'unknown') continue
        const username = nameOf(kind, index)
        const email = kind === 'without' ? {} : { email: `${username}@example.com`, emailVerified: true }
        const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, ...email })
        assert.equal(made.status, 201, made.text)
        if (kind !== 'without') await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
        if (kind === 'inactive') assert.equal((await signet.api('PATCH', `/api/v1/users/${made.body.id}`, { active: false })).status, 200)
      }
  })
  after(async () => {
    await signet?.stop()
    await mail?.stop()
  })

  /** Each is guessed at less often than locks a name out. */
  const perKind = 5
  const nameOf = (kind: Kind, index: number) => `${kind}-${index % perKind}`
  let networks = 0

  /** A browser on a network of its own, that goes through a flow as JSON. */
  const newcomer = (flow: string) => {
    const url = `${signet.issuer}/api/v1/flows/${flow}`
    const network = `10.${networks >> 16}.${(networks >> 8) & 255}.${networks++ & 255}`
    let cookie = ''
    let attempt = ''
    const send = async (method: 'GET' | 'POST', fields?: object) => {
      const began = performance.now()
      const { statusCode, headers, body } = await request(url, {
        method,
        headers: { 'x-forwarded-for': network, ...(cookie ? { cookie } : {}), ...(fields ? { 'content-type': 'application/json' } : {}) },
        ...(fields ? { body: JSON.stringify({ attempt, ...fields }) } : {}),
      })
      const text = await body.text()
      const ms = performance.now() - began
      const set = [headers['set-cookie'] ?? []].flat()[0]
      if (set) cookie = set.split(';')[0] ?? ''
      const answer = JSON.parse(text) as { attempt?: string; stage?: string; challenge?: object }
      attempt = answer.attempt ?? attempt
      const { date: _, 'x-request-id': __, 'set-cookie': ___, ...told } = headers
      return {
        ms,
        stage: answer.stage,
        /** What is of this attempt alone is left out. */
        answered: JSON.stringify([
          statusCode,
          told,
          { ...answer, ...answer.challenge, challenge: undefined, attempt: undefined, instance: undefined },
        ]),
      }
    }
    return { begin: () => send('GET'), post: (stage: string, fields: object = {}) => send('POST', { stage, ...fields }) }
  }

  /** All kinds are answered alike but for the name itself, and no kind takes another time than `known`. */
  const alike = async (
    rounds: number,
    take: (kind: Kind, username: string) => Promise<{ ms: number; answered: string }>,
  ): Promise<void> => {
    const answers = new Set<string>()
    const times = await interleaved(kinds, rounds, async (kind, round) => {
      const username = nameOf(kind, round)
      const { ms, answered } = await take(kind, username)
      answers.add(answered.replaceAll(username, 'NAME').replace(/"content-length":"\d+"/, ''))
      return ms
    })
    assert.equal(answers.size, 1, [...answers].join('\n'))
    for (const kind of kinds) {
      const chance = chanceOfLonger(times[kind], times.known)
      assert.ok(Math.abs(chance - 0.5) < farthestByChance(rounds, rounds), `${kind} takes longer than known with a chance of ${chance}`)
    }
  }

  const wrongPassword = async (username: string, typed: string) => {
    const { begin, post } = newcomer('authentication')
    await begin()
    assert.equal((await post('identification', { username })).stage, 'password')
    return post('password', { password: typed })
  }

  it('is not told by a wrong password', () => alike(40, (_, username) => wrongPassword(username, 'not the password')))

  it('would show in these times, if it were told by as little as a hash that is left out', async () => {
    const times = await interleaved(
      ['hashed', 'not'] as const,
      12,
      async (kind, round) => (await wrongPassword(`someone-${round}`, kind === 'hashed' ? 'not the password' : '')).ms,
    )
    const chance = chanceOfLonger(times.hashed, times.not)
    assert.ok(chance - 0.5 > farthestByChance(30, 30), `a hash takes longer with a chance of ${chance}`)
  })

  it('is not told by the name that is typed', () =>
    alike(60, async (_, username) => {
      const { begin, post } = newcomer('authentication')
      await begin()
      return post('identification', { username })
    }))

  it('is not told by asking for a mail to recover by, nor by asking for it again', async () => {
    await alike(60, async (_, username) => {
      const { begin, post } = newcomer('recovery')
      await begin()
      return post('identification', { username })
    })
    await alike(60, async (_, username) => {
      const { begin, post } = newcomer('recovery')
      await begin()
      assert.equal((await post('identification', { username })).stage, 'email')
      return post('email')
    })
    assert.ok(
      mail.received.every(({ to }) => /^known-\d@example\.com$/.test(to)),
      'mails go to who is someone',
    )
  })

  it('is not told by a flow that asks for a code first', () =>
    alike(40, async (_, username) => {
      const { begin, post } = newcomer('code-first')
      await begin()
      return post('identification', { username })
    }))

  it('is told of an invitation to nobody who has none: whatever was wrong with it, the answer is one', async () => {
    const used = await signet.api<{ id: string; url: string }>('POST', '/api/v1/invitations', {
      email: 'known-0@example.com',
      expiresIn: '1h',
      send: false,
    })
    const token = new URL(used.body.url).searchParams.get('invitation') ?? ''
    assert.equal((await signet.api('DELETE', `/api/v1/invitations/${used.body.id}`)).status, 204)
    const answers = await Promise.all(
      ['', '?invitation=', `?invitation=${'x'.repeat(43)}`, `?invitation=${token}`].map(async (query) => {
        const { begin } = newcomer(`enrollment${query}`)
        return (await begin()).answered
      }),
    )
    assert.equal(new Set(answers).size, 1, answers.join('\n'))
  })
})

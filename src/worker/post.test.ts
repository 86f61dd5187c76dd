import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { QueuedMail } from '#/identity/mail.ts'
import { openLetters } from './post.ts'

const names = [
  'invitation',
  'recovery',
  'email_code',
  'email_confirmation',
  'email_change',
  'email_changed',
  'new_device',
  'password_changed',
  'factor_changed',
]
const time = new Date('2031-02-03T04:05:06Z')

const mail = (changed: Partial<QueuedMail> = {}): QueuedMail => ({
  to: 'ann@example.com',
  template: 'recovery',
  locale: null,
  messageId: '<one@example.com>',
  queuedAt: time,
  user: { name: 'Ann <b>"&', username: 'ann', email: 'ann@example.com' },
  product: 'Tea & <i>Co',
  variables: {
    url: 'https://sign-in.example.com/flow/recovery?token=a&b=c',
    expiresAt: time,
    time,
    device: 'Firefox, <u>Linux',
    place: '192.0.2.1',
    factor: 'webauthn',
    change: 'added',
  },
  ...changed,
})

/** A TEMPLATES_DIR of one's own, and letters made with it at a time that is moved by hand. */
const operators = (context: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-mails-'))
  context.after(() => rmSync(folder, { recursive: true }))
  for (const part of ['email', 'locales']) mkdirSync(join(folder, part))
  let now = time.getTime()
  const open = () => openLetters({ templatesDir: folder, clock: () => new Date(now) })
  return {
    open,
    write: (name: string, text: string) => writeFileSync(join(folder, name), text),
    remove: (name: string) => rmSync(join(folder, name)),
    pass: (ms: number) => {
      now += ms
    },
    folder,
  }
}

describe('our mails', () => {
  const letters = openLetters({ clock: () => time })
  test('are those that may be queued', () => {
    const found = readdirSync(fileURLToPath(new URL('../../templates/email', import.meta.url))).flatMap(
      (file) => /^(.+)\.subject\.liquid$/.exec(file)?.[1] ?? [],
    )
    assert.deepEqual(found.sort(), [...names].sort())
  })

  for (const template of names)
    for (const locale of ['en', 'de'])
      test(`${template} says the same as text and as HTML (${locale})`, () => {
        const code = template === 'email_code' ? { code: '314159' } : {}
        const { subject, text, html, faults } = letters(mail({ template, locale, variables: { ...mail().variables, ...code } }))
        assert.deepEqual(faults, [])
        assert.match(subject, /^[^\n]*Tea & <i>Co[^\n]*$/)
        assert.match(html, new RegExp(`<html lang="${locale}">`))
        assert.match(text, locale === 'de' ? /^Guten Tag Ann <b>"&,/ : /^Hello Ann <b>"&,/)
        // No text that is missing, no value that was not filled in, no markup of a stranger's.
        for (const part of [subject, text, html]) assert.doesNotMatch(part, /mail\.[a-z_]+|\{\w+\}|\{\{|undefined|\[object/)
        assert.doesNotMatch(html, /<b>|<i>|<u>/)
        if (template === 'email_code') for (const part of [text, html]) assert.match(part, /314159/)
        else {
          assert.ok(text.includes('\nhttps://sign-in.example.com/flow/recovery?token=a&b=c\n'))
          assert.ok(html.includes('href="https://sign-in.example.com/flow/recovery?token=a&amp;b=c"'))
        }
        assert.match(text, /2031/)
        assert.doesNotMatch(text, /\n\n\n/)
      })

  test('confirm an address by a code as well as by a link', () => {
    const { text, html } = letters(mail({ template: 'email_confirmation', variables: { code: '314159', expiresAt: time } }))
    for (const part of [text, html]) assert.match(part, /314159/)
    assert.doesNotMatch(html, /href/)
  })

  test('greet nobody whose name is not known, and know languages by their nearest', () => {
    const nobody = { name: null, username: null, email: null }
    assert.match(letters(mail({ user: nobody, locale: 'de-CH-1901' })).text, /^Guten Tag,\n/)
    for (const locale of ['xx', '../../etc', 'de-de-de-de-de', ''])
      assert.match(letters(mail({ user: nobody, locale })).text, /^(Hello|Guten Tag),\n/)
  })
})

describe("an operator's templates", () => {
  test('replace ours file by file, the nearest language first', (context) => {
    const { open, write } = operators(context)
    write('email/recovery.subject.liquid', 'plain')
    write('email/recovery.de.subject.liquid', 'deutsch {{ product }}\n\n second line')
    write('email/recovery.de-AT.subject.liquid', 'österreichisch')
    const letters = open()
    const subject = (locale: string | null) => letters(mail({ locale })).subject
    assert.equal(subject('de-AT'), 'österreichisch')
    assert.equal(subject('de-at'), 'österreichisch')
    assert.equal(subject('de-CH'), 'deutsch Tea & <i>Co second line')
    assert.equal(subject('fr'), 'plain')
    assert.equal(subject(null), 'plain')
    assert.match(letters(mail({ locale: 'de-AT' })).text, /^Guten Tag/)
  })

  test('are given url, user and expiresAt, escaped in HTML only, in their own language', (context) => {
    const { open, write } = operators(context)
    const body =
      '{{ url }} {{ user.name }} {{ user.username }} {{ user.email }} {{ expiresAt | date: "%Y-%m-%d" }} {{ expiresAt | moment }}'
    write('email/recovery.fr.text.liquid', body)
    write('email/recovery.fr.html.liquid', body)
    const { text, html } = open()(mail({ locale: 'fr' }))
    assert.match(text, /token=a&b=c Ann <b>"& ann ann@example\.com 2031-02-0\d 3 février 2031 à 04:05 UTC/)
    assert.match(html, /token=a&amp;b=c Ann &lt;b&gt;&#34;&amp; ann/)
  })

  test('replace the frame of all of them, and single texts', (context) => {
    const { open, write } = operators(context)
    write('email/layout.text.liquid', 'Harbour\n{% block content %}{% endblock %}')
    write('locales/en.json', JSON.stringify({ 'mail.recovery.lead': 'Ahoy {product}' }))
    assert.match(open()(mail()).text, /^Harbour\nAhoy Tea & <i>Co\n/)
  })

  test('are read anew within five seconds', (context) => {
    const { open, write, remove, pass } = operators(context)
    const letters = open()
    assert.match(letters(mail()).subject, /^Get back/)
    write('email/recovery.subject.liquid', 'first')
    pass(5_001)
    assert.equal(letters(mail()).subject, 'first')
    write('email/recovery.subject.liquid', 'second')
    pass(5_001)
    assert.equal(letters(mail()).subject, 'second')
    remove('email/recovery.subject.liquid')
    pass(5_001)
    assert.match(letters(mail()).subject, /^Get back/)
  })

  for (const [what, text, line] of [
    ['a tag nobody closes', 'one\ntwo\n{% if x %}', 3],
    ['an unknown filter', 'one\n{{ url | shout }}', 2],
    ['an unknown tag', '{% shout %}', 1],
    ['a part that is missing', 'one\n\n\n{% include "nowhere.liquid" %}', 4],
    ['one that never ends', '{% for a in (1..100000000) %}{{ a }}{% endfor %}', 1],
    ['one that looks elsewhere', '{% include "../../../../etc/passwd" %}', 1],
  ] as const)
    test(`that are broken are told of by file and line, and ours stand in: ${what}`, (context) => {
      const { open, write, pass, folder } = operators(context)
      write('email/recovery.de.text.liquid', text)
      const letters = open()
      const { text: sent, faults } = letters(mail({ locale: 'de' }))
      assert.match(sent, /^Guten Tag/)
      assert.deepEqual(
        faults.map((fault) => [fault.template, fault.file, fault.line]),
        [['recovery.de.text', join(folder, 'email/recovery.de.text.liquid'), line]],
      )
      assert.ok(faults[0]?.reason)
      write('email/recovery.de.text.liquid', 'whole')
      pass(5_001)
      assert.deepEqual([letters(mail({ locale: 'de' })).text, letters(mail({ locale: 'de' })).faults], ['whole\n', []])
    })
})

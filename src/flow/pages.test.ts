import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { openPages } from './pages.ts'

const options = { locales: ['en'], pathPrefix: '' }

test('what a page is given is text, never markup, and no link but to the web', () => {
  const pages = openPages({ log: openLog('silent') })
  const client = {
    name: '<img src=x onerror=alert(1)>"\'',
    logo_uri: 'javascript:alert(1)',
    policy_uri: 'data:text/html,x',
    tos_uri: 'https://wiki.example/"><b>',
  }
  const { html, headers } = pages.render('logged_out', { client }, options)
  assert.doesNotMatch(html, /<img|javascript:|data:text|<b>/)
  assert.match(html, /&lt;img/)
  assert.match(headers['content-security-policy'] ?? '', /img-src 'self' data:;/)
  const logo = pages.render('logged_out', { client: { name: 'Wiki', logo_uri: 'https://cdn.example:8443/a;b.png' } }, options)
  assert.match(logo.headers['content-security-policy'] ?? '', /img-src 'self' data: https:\/\/cdn\.example:8443;/)
  const odd = pages.render('logged_out', { client: { name: 'Wiki', logo_uri: 'https://a;sandbox/x.png' } }, options)
  assert.doesNotMatch(odd.headers['content-security-policy'] ?? '', /sandbox/)
})

test('every page on the way to a client can be declined, and shows what it is given as text', () => {
  const pages = openPages({ log: openLog('silent') })
  const bad = `"><img src=x onerror=alert(1)>'`
  const names = ['identification', 'password', 'authenticator_validate', 'prompt', 'email', 'captcha', 'terms', 'password_change'] as const
  for (const name of names) {
    const { html } = pages.render(
      name,
      {
        action: `/flow/${name}`,
        attempt: 'a',
        stage: name,
        fields: [
          { name: 'team', type: 'select', label: bad, required: true, isWrong: true, options: [{ value: bad, label: bad }] },
          { name: 'motto', type: 'text', label: bad, required: false, isWrong: false, value: bad },
        ],
        mistakes: [{ field: 'team', text: bad }],
        client: { name: bad },
        canDecline: true,
        username: bad,
        person: bad,
        scopes: [{ name: bad, text: bad }],
        more: { passkey: { user: { name: bad } }, sentTo: bad, terms: { text: bad }, captcha: { salt: bad, difficulty: 8 } },
      },
      options,
    )
    assert.match(html, /<form class="second"[^>]*>.*name="decline"/, name)
    assert.doesNotMatch(html, /<img/, name)
  }
})

test("an operator's template stands in for ours, and ours for one that is broken", () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-templates-'))
  const lines: string[] = []
  try {
    mkdirSync(join(folder, 'pages'))
    writeFileSync(join(folder, 'pages', 'busy.liquid'), '<h1>{{ "busy.title" | t }}, says the harbour</h1>')
    writeFileSync(join(folder, 'pages', 'logged_out.liquid'), '{% for %}')
    writeFileSync(join(folder, 'pages', 'pages.css'), 'body { color: red; }')
    const pages = openPages({ templatesDir: folder, log: openLog('warn', { write: (line) => lines.push(line) }) })
    assert.equal(pages.render('busy', {}, options).html, '<h1>One moment, please, says the harbour</h1>')
    assert.match(pages.render('logged_out', {}, options).html, /You are signed out/)
    assert.match(lines.join(''), /template\.broken.*logged_out.*line:1/)
    assert.equal(pages.stylesheet.text, 'body{color:red}')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

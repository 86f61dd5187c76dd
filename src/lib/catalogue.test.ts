import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openCatalogue, readLocales } from './catalogue.ts'

const templates = fileURLToPath(new URL('../../templates', import.meta.url))
const read = (locale: string) => JSON.parse(readFileSync(join(templates, 'locales', `${locale}.json`), 'utf8')) as Record<string, string>
const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort()
const english = read('en')

for (const locale of readdirSync(join(templates, 'locales')).map((file) => file.replace(/\.json$/, '')))
  test(`${locale} has the same keys as English, each with the same values to fill in`, () => {
    const messages = read(locale)
    assert.deepEqual(Object.keys(messages), Object.keys(english))
    for (const [key, text] of Object.entries(messages)) {
      assert.ok(text.trim(), key)
      assert.deepEqual(holes(text), holes(english[key] ?? ''), key)
    }
  })

test('every text that a template names is in the catalogue', () => {
  for (const folder of ['pages', 'email'])
    for (const file of readdirSync(join(templates, folder)).filter((name) => name.endsWith('.liquid')))
      for (const [, key = ''] of readFileSync(join(templates, folder, file), 'utf8').matchAll(/'([\w.]+)' \| t\b/g))
        assert.ok(key in english, `${file} names ${key}`)
})

test('the language is picked by what is asked, chosen, accepted, in that order', () => {
  const catalogue = openCatalogue()
  const pick = (...of: Parameters<typeof readLocales>) => catalogue.pick(readLocales(...of)).locale
  assert.equal(pick({}), 'en')
  assert.equal(pick({ acceptLanguage: 'fr, de-CH;q=0.7, en;q=0.9' }), 'en')
  assert.equal(pick({ acceptLanguage: 'fr, de-CH, en;q=0.9' }), 'de')
  assert.equal(pick({ acceptLanguage: 'de;q=0, en' }), 'en')
  assert.equal(pick({ cookies: 'signet_locale=de', acceptLanguage: 'en' }), 'de')
  assert.equal(pick({ ui_locales: 'xx en', cookies: 'signet_locale=de' }), 'en')
  assert.equal(pick({ ui_locales: '../../etc', acceptLanguage: '__proto__, ;;q=x' }), 'en')
  assert.ok(readLocales({ acceptLanguage: 'de,'.repeat(10_000) }).length <= 20)
})

test("an operator's folder replaces single texts and adds languages", () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-locales-'))
  try {
    writeFileSync(join(folder, 'en.json'), JSON.stringify({ product: 'Harbour' }))
    writeFileSync(join(folder, 'fr.json'), JSON.stringify({ 'identification.title': 'Se connecter' }))
    const catalogue = openCatalogue(folder)
    assert.equal(catalogue.pick(['en']).translate('product'), 'Harbour')
    assert.equal(catalogue.pick(['fr-CA']).translate('identification.title'), 'Se connecter')
    assert.equal(catalogue.pick(['fr']).translate('identification.lead', { client: '{client} $& x' }), 'to go on to {client} $& x')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

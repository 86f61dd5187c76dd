import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { parseLabelSelector, selects } from './label_selector.ts'

for (const [text, labels, expected] of [
  ['app=web', { app: 'web' }, true],
  ['app==web', { app: 'web' }, true],
  ['app=web', { app: 'api' }, false],
  ['app!=web', { app: 'api' }, true],
  ['app!=web', {}, true],
  ['app', { app: '' }, true],
  ['!app', { app: 'web' }, false],
  ['tier in (a, b)', { tier: 'b' }, true],
  ['tier notin (a,b)', { tier: 'b' }, false],
  ['app=web, tier in (a,b),!legacy', { app: 'web', tier: 'a' }, true],
  ['app=web,app=api', { app: 'web' }, false],
  ['example.com/team=x', { 'example.com/team': 'x' }, true],
] as const)
  test(`label selector ${text} ${expected ? 'selects' : 'leaves out'} ${JSON.stringify(labels)}`, () => {
    assert.equal(selects(parseLabelSelector(text, '/labelSelector'), labels), expected)
  })

for (const text of ['', ',', 'a b', '=x', 'app=we b', 'tier in a', 'tier in (a b)', '-app', 'x'.repeat(3_000), `app=${'x'.repeat(64)}`])
  test(`label selector ${text.slice(0, 20)} is refused`, () => {
    assert.throws(() => parseLabelSelector(text, '/labelSelector'), Problem)
  })

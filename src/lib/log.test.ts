import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

const logModule = pathToFileURL(`${import.meta.dirname}/log.ts`).href

/** What a program says that logs 50 lines and then does this. */
const saidBy = (end: string): { lines: string[]; status: number | null } => {
  const program = `
    import { openLog } from '${logModule}'
    const log = openLog('info')
    for (let line = 0; line < 50; line++) log.info({ event: 'test.line', line })
    ${end}`
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 8_000_000,
  })
  return { lines: stdout.split('\n').filter((line) => line.includes('test.line')), status }
}

for (const [how, end, expected] of [
  ['ends by itself', '', 0],
  ['exits at once', 'process.exit(3)', 3],
  ['dies of an error', `throw new Error('gone')`, 1],
  ['says a last word', `log.fatal('over'); process.reallyExit(4)`, 4],
] as const)
  test(`every line is written, in order, when a program ${how}`, () => {
    const { lines, status } = saidBy(end)
    assert.equal(status, expected)
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { line: number }).line),
      Array.from({ length: 50 }, (_, line) => line),
    )
  })

test('many lines, long ones and letters of several bytes are written whole and in order', () => {
  const { lines } = saidBy(`
    const texts = [...Array.from({ length: 2_000 }, (_, line) => 'ä€😀'.repeat(line % 60)), '€'.repeat(40_000), 'end']
    for (const text of texts) log.info({ event: 'test.line', text })`)
  const texts = lines.slice(50).map((line) => (JSON.parse(line) as { text: string }).text)
  assert.deepEqual(texts, [...Array.from({ length: 2_000 }, (_, line) => 'ä€😀'.repeat(line % 60)), '€'.repeat(40_000), 'end'])
})

test('what is logged under the name of a secret is censored', () => {
  const { lines } = saidBy(`log.info({ event: 'test.line', line: 50, password: 'x1', headers: { cookie: 'x2' } })`)
  const last = JSON.parse(lines.at(-1) ?? '{}') as { password: string; headers: { cookie: string } }
  assert.deepEqual([last.password, last.headers.cookie], ['[secret]', '[secret]'])
})

test('plain lines have the fields of all others, and their order', () => {
  const { lines } = saidBy(`
    const { openPlainLines } = await import('${logModule}')
    openPlainLines(log)('"event":"test.line","number":1.5')
    log.info({ event: 'test.line', number: 1.5 })
    openPlainLines(openLog('warn'))('"event":"test.line"')`)
  const [plain, usual] = lines.slice(50).map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.equal(lines.length, 52)
  assert.deepEqual({ ...plain, time: '' }, { ...usual, time: '' })
  assert.deepEqual(Object.keys(plain ?? {}), Object.keys(usual ?? {}))
  assert.match(String(plain?.time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
})

/**
 * `npm run bench`: our speed as a ratio to a limit measured in the same minutes on the same machine (see limit.ts). Everything it
 * needs it starts itself, PostgreSQL and a server, in a temporary folder; with --issuer another provider is measured instead, and with
 * --database-url it works on an empty database of yours.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '#/lib/embedded_postgres/embedded_postgres.ts'
import { openForeign } from './foreign.ts'
import { startLimit } from './limit_target.ts'
import { compare, type Load } from './load.ts'
import { type Ours, startOurs } from './ours.ts'
import { startProgram } from './program.ts'
import { openReport, type Report } from './report.ts'
import { scenarios } from './scenarios/index.ts'
import type { Scenario } from './scenarios/scenario.ts'
import type { Target } from './target.ts'

const usage = `Usage: npm run bench -- [NAME …] [--json] [--rounds N] [--seconds N] [--users N] [--database-url URL]
       npm run bench -- --issuer URL --client-id ID --client-secret SECRET [--access-token T] [NAME …]

Names: ${Object.keys(scenarios).join(' ')}
`

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    users: { type: 'string', default: '100000' },
    issuer: { type: 'string' },
    'client-id': { type: 'string' },
    'client-secret': { type: 'string' },
    'access-token': { type: 'string' },
    'database-url': { type: 'string' },
  },
})

const run = async (name: string, scenario: Scenario, target: Target, limit: Target, report: Report): Promise<void> => {
  if (scenario.kind === 'figure') {
    if (!('startAnother' in target)) return report.leftOut(name, 'is about Signet alone')
    // What only ours has was looked at in the line above.
    return report.figure(name, await scenario.measure(target as Ours, { users: Number(flags.users) }))
  }
  const load: Load = { connections: scenario.connections, rounds: Number(flags.rounds), roundMs: Number(flags.seconds) * 1000 }
  const iteration = await scenario.prepare(target, load.connections)
  if (!iteration) return report.leftOut(name, 'this provider can give nothing to measure it with')
  const limitIteration = await (scenario.prepareLimit ?? scenario.prepare)(limit, load.connections)
  report.load(
    name,
    await compare({ origin: target.origin, iteration }, limitIteration && { origin: limit.origin, iteration: limitIteration }, load),
  )
}

const ownDatabase = async (folder: string, closing: (() => Promise<unknown>)[]): Promise<string> => {
  const { url, stop } = await startEmbeddedPostgres({ folder })
  closing.unshift(() => stop())
  return url
}

const main = async (): Promise<number> => {
  const unknown = positionals.filter((name) => !Object.hasOwn(scenarios, name))
  if (flags.help || unknown.length || !(Number(flags.rounds) > 0) || !(Number(flags.seconds) > 0) || !(Number(flags.users) >= 1_000)) {
    if (unknown.length) process.stderr.write(`There is no scenario ${unknown.join(', ')}.\n`)
    process.stderr.write(usage)
    return flags.help ? 0 : 2
  }
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-'))
  const closing: (() => Promise<unknown>)[] = []
  let failed = false
  try {
    const databaseUrl = flags['database-url'] ?? (await ownDatabase(join(folder, 'postgres'), closing))
    const application = startProgram(['bench/upstream.ts'])
    closing.unshift(application.stop)
    const upstream = `http://127.0.0.1:${await application.firstLine()}`
    const limit = await startLimit(databaseUrl, upstream)
    closing.unshift(limit.stop)
    let target: Target
    if (flags.issuer) {
      const { issuer, 'client-id': id = '', 'client-secret': secret = '', 'access-token': accessToken } = flags
      target = await openForeign({ issuer, id, secret, accessToken })
    } else {
      const ours = await startOurs(databaseUrl, join(folder, 'data'), upstream)
      closing.unshift(ours.stop)
      target = ours
    }
    const report = openReport({ json: flags.json, target: target.name })
    for (const [name, scenario] of Object.entries(scenarios) as [string, Scenario][]) {
      if (positionals.length && !positionals.includes(name)) continue
      await run(name, scenario, target, limit.target, report).catch((error: Error) => {
        failed = true
        report.failed(name, error)
      })
    }
    report.end()
  } finally {
    for (const close of closing) await close()
    rmSync(folder, { recursive: true, force: true })
  }
  return failed ? 1 : 0
}

process.exitCode = await main()

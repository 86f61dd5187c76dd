/**
 * `node test/interop/conformance/run.ts [PLAN …] [--only REGEXP] [--log FILE]` runs plans of the OpenID Foundation's conformance suite against a
 * Signet that it starts, whose own log goes to FILE. README.md beside it says how to come by a suite. Exit code 1 when a module failed.
 */
import { appendFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { isPlan, lanesOf, type PlanName, plans } from './plans.ts'
import { rotateKeys } from './rotate_keys.ts'
import { isHeld, type PlanReport, runPlan, summary } from './run_plan.ts'
import { openSuite } from './suite.ts'
import { findPlace, openWorld } from './world.ts'

const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' }, log: { type: 'string' } } })

const main = async (): Promise<number> => {
  const place = findPlace(process.env)
  const unknown = positionals.filter((name) => !isPlan(name))
  if (!place || unknown.length) {
    if (unknown.length) process.stderr.write(`There is no plan ${unknown.join(', ')}; there are ${Object.keys(plans).join(', ')}.\n`)
    if (!place) process.stderr.write('Set OIDF_SUITE_URL to the address of a conformance suite; see test/interop/conformance/README.md.\n')
    return 2
  }
  const wanted = positionals.length ? positionals.filter(isPlan) : Object.keys(plans).filter(isPlan)
  const suite = openSuite(place.suite, process.env.OIDF_SUITE_TOKEN)
  const { log } = flags
  if (log) writeFileSync(log, '')
  const { world, signet } = await openWorld(place, (text) => log && appendFileSync(log, text))
  const reports: PlanReport[] = []
  try {
    const run = async (plan: PlanName) => {
      const report = await runPlan(plan, {
        suite,
        world,
        ...(flags.only ? { only: new RegExp(flags.only) } : {}),
        asked: { 'oidcc-server-rotate-keys': () => rotateKeys(signet) },
        told: ({ module, variant, result, reasons, id }) =>
          process.stdout.write(
            `${plan} ${module} (${variant}) ${result}${result === 'PASSED' ? '' : ` ${id} ${reasons.slice(0, 2).join(' | ')}`}\n`,
          ),
      })
      reports.push(report)
      process.stdout.write(`${summary(report)}\n`)
    }
    await Promise.all(
      lanesOf(wanted).map(async (lane) => {
        for (const plan of lane) await run(plan)
      }),
    )
  } finally {
    await signet.stop()
  }
  const modules = reports.flatMap((report) => report.modules)
  const failed = modules.filter((module) => !isHeld(module)).length
  process.stdout.write(`${modules.length - failed} passed, ${failed} failed\n`)
  return failed || modules.length === 0 ? 1 : 0
}

// Signet is the head of a group of its own, which no signal to us reaches: it goes with our exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.exitCode = await main()

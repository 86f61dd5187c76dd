import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Signet } from '../../support/signet.ts'
import type { World } from './configuration.ts'
import { isPlan, lanesOf, plans } from './plans.ts'
import { rotateKeys } from './rotate_keys.ts'
import { isHeld, runPlan, summary } from './run_plan.ts'
import { openSuite } from './suite.ts'
import { findPlace, openWorld } from './world.ts'

const place = findPlace(process.env)
const asked = process.env.OIDF_PLANS?.split(/[\s,]+/).filter(Boolean) ?? []
const unknown = asked.filter((name) => !isPlan(name))
if (unknown.length) throw new Error(`OIDF_PLANS: there is no plan ${unknown.join(', ')}; there are ${Object.keys(plans).join(', ')}`)
const wanted = (asked.length ? asked : Object.keys(plans)).filter(isPlan)

describe(
  'The OpenID Foundation’s conformance suite',
  place ? { timeout: 7_200_000, concurrency: true } : { skip: 'needs a suite: set OIDF_SUITE_URL (test/interop/conformance/README.md)' },
  () => {
    let opened: { world: World; signet: Signet }
    before(async () => {
      if (place) opened = await openWorld(place)
    })
    after(() => opened?.signet.stop())
    for (const lane of lanesOf(wanted))
      describe(lane.join(', then '), { timeout: 7_200_000, concurrency: 1 }, () => {
        for (const plan of lane)
          test(`${plan} holds`, { timeout: 3_600_000 }, async (context) => {
            assert(place)
            const report = await runPlan(plan, {
              suite: openSuite(place.suite, process.env.OIDF_SUITE_TOKEN),
              world: opened.world,
              asked: { 'oidcc-server-rotate-keys': () => rotateKeys(opened.signet) },
            })
            context.diagnostic(summary(report))
            assert.deepEqual(
              report.modules.filter((module) => !isHeld(module)),
              [],
            )
          })
      })
  },
)

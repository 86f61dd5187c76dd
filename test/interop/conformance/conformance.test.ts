import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Signet } from '../../support/signet.ts'
import type { World } from './configuration.ts'
import { type PlanName, plans } from './plans.ts'
import { rotateKeys } from './rotate_keys.ts'
import { isHeld, runPlan, summary } from './run_plan.ts'
import { openSuite } from './suite.ts'
import { findPlace, openWorld } from './world.ts'

const place = findPlace(process.env)
const isPlan = (name: string): name is PlanName => Object.hasOwn(plans, name)
const asked = process.env.OIDF_PLANS?.split(/[\s,]+/).filter(Boolean) ?? []
const unknown = asked.filter((name) => !isPlan(name))
if (unknown.length) throw new Error(`OIDF_PLANS: there is no plan ${unknown.join(', ')}; there are ${Object.keys(plans).join(', ')}`)
const wanted = (asked.length ? asked : Object.keys(plans)).filter(isPlan)

describe(
  'The OpenID Foundation’s conformance suite',
  place ? { timeout: 3_600_000 } : { skip: 'needs a suite: set OIDF_SUITE_URL (test/interop/conformance/README.md)' },
  () => {
    let opened: { world: World; signet: Signet }
    before(async () => {
      if (place) opened = await openWorld(place)
    })
    after(() => opened?.signet.stop())
    for (const plan of wanted)
      test(`${plan} holds`, { timeout: 1_800_000 }, async (context) => {
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
  },
)

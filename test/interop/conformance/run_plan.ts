import { configurationOf, type World } from './configuration.ts'
import { notOffered, type PlanName, plans } from './plans.ts'
import type { Module, Outcome, Result, Suite } from './suite.ts'

export interface ModuleReport extends Outcome {
  module: string
  variant: string
}

export interface PlanReport {
  plan: PlanName
  /** Of the suite, for `/plan-detail.html?plan=ID`. */
  id: string
  modules: ModuleReport[]
}

export interface RunOptions {
  suite: Suite
  world: World
  /** Only modules whose name it matches. */
  only?: RegExp
  /** What a module asks to be done at the provider while it runs, by its name. */
  asked?: Record<string, () => Promise<void>>
  told?: (report: ModuleReport) => void
}

/** What tells modules of the same name apart. */
const variantOf = ({ variant = {} }: Module): string => Object.values(variant).join(' ')

/** One module after the other: they share the suite's address for the client. */
export const runPlan = async (plan: PlanName, { suite, world, only = /^/, asked = {}, told }: RunOptions): Promise<PlanReport> => {
  const { plan: name, variant } = plans[plan]
  const { id, modules } = await suite.createPlan(name, variant, configurationOf(plans[plan], world))
  const reports: ModuleReport[] = []
  for (const module of modules) {
    const { testModule } = module
    if (!only.test(testModule) || notOffered.includes(testModule)) continue
    // The suite broke down over it: the others are still worth a try.
    const outcome = await suite
      .runModule(id, module, asked[testModule])
      .catch((error: Error): Outcome => ({ id: '', result: 'INTERRUPTED', reasons: [error.message] }))
    const report = { module: testModule, variant: variantOf(module), ...outcome }
    reports.push(report)
    told?.(report)
  }
  return { plan, id, modules: reports }
}

const held: Result[] = ['PASSED', 'REVIEW', 'WARNING', 'SKIPPED']

/** REVIEW: everything held, and a person may look at the page that was stored. WARNING: a "should". SKIPPED: the suite says why. */
export const isHeld = ({ result }: Outcome): boolean => held.includes(result)

/** `basic: 30 passed, 3 review, 0 warning, 1 skipped, 0 failed`. */
export const summary = ({ plan, modules }: PlanReport): string => {
  const count = (...results: Result[]) => modules.filter(({ result }) => results.includes(result)).length
  return `${plan}: ${count('PASSED')} passed, ${count('REVIEW')} review, ${count('WARNING')} warning, ${count('SKIPPED')} skipped, ${
    modules.filter((module) => !isHeld(module)).length
  } failed`
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Core, GuardedApplication, Person } from './core.ts'
import { openMachines } from './machines.ts'
import { NoRoom } from './turns.ts'

const application = { key: 'default/wiki' } as GuardedApplication
const bearer = (name: string) => `Bearer signet_${name.padEnd(30, '-')}`
const robot = { id: '1', username: 'robot', active: true } as Person

/** A core that answers when it is told to; `good` is somebody's token. */
const openCore = () => {
  const pending: (() => void)[] = []
  let isSlow = false
  let asked = 0
  const findMachine: Core['findMachine'] = async (token) => {
    asked++
    if (isSlow) await new Promise<void>((resolve) => pending.push(resolve))
    return token.startsWith('signet_good') ? robot : undefined
  }
  return {
    core: { findMachine } as Core,
    asked: () => asked,
    slow: () => {
      isSlow = true
    },
    answer: () => {
      isSlow = false
      for (const resolve of pending.splice(0)) resolve()
    },
  }
}

test('made-up tokens are asked about only so many at once, and no program that was known waits behind them', async () => {
  const { core, asked, slow, answer } = openCore()
  const machines = openMachines({ core })
  assert.equal(await machines.find(bearer('good'), application, 0), robot)
  slow()
  const madeUp = Array.from({ length: 1_000 }, (_, index) => machines.find(bearer(`made-up-${index}`), application, 10_000))
  const settled = Promise.allSettled(madeUp)
  assert.equal(asked(), 1 + 4)
  const known = machines.find(bearer('good'), application, 10_000)
  assert.equal(asked(), 1 + 4 + 1)
  answer()
  const refused = (await settled).filter((each) => each.status === 'rejected' && each.reason instanceof NoRoom)
  assert.equal(refused.length, 1_000 - 4 - 24)
  assert.equal(await known, robot)
  assert.equal(
    await machines.find(bearer('made-up-999'), application, 10_000),
    undefined,
    'what was refused for want of room is asked again',
  )
})

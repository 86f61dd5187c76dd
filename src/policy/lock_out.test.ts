import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lockOut, secondsLockedOut } from './lock_out.ts'

const now = new Date('2026-11-23T12:00:00Z')
const ago = (...seconds: number[]) => seconds.map((second) => new Date(now.getTime() - second * 1_000))
const times = (count: number, seconds: number) => ago(...Array<number>(count).fill(seconds))

const rows: [string, { ofName?: Date[]; ofNetwork?: Date[] }, number | undefined][] = [
  ['no failure', {}, undefined],
  ['nine of a name', { ofName: times(9, 1) }, undefined],
  ['ten of a name', { ofName: times(10, 60) }, 840],
  ['ten of a name, the first of them long ago', { ofName: [...times(9, 1), ...ago(901)] }, undefined],
  ['ten of a name, the first about to leave', { ofName: [...times(9, 1), ...ago(899.5)] }, 1],
  ['twelve of a name: until the third has left', { ofName: ago(800, 700, 600, 10, 9, 8, 7, 6, 5, 4, 3, 2) }, 300],
  ['forty-nine of a network', { ofNetwork: times(49, 1) }, undefined],
  ['fifty of a network', { ofNetwork: times(50, 100) }, 800],
  ['both: the longer wait', { ofName: times(10, 60), ofNetwork: times(50, 100) }, 840],
]
for (const [title, { ofName = [], ofNetwork = [] }, expected] of rows)
  test(`${title}: ${expected === undefined ? 'may try' : `waits ${expected} s`}`, () =>
    assert.equal(
      secondsLockedOut(
        [
          { failedAt: ofName, limit: lockOut.perName },
          { failedAt: ofNetwork, limit: lockOut.perNetwork },
        ],
        now,
      ),
      expected,
    ))

test('the limits are those that are promised', () =>
  assert.deepEqual(lockOut, {
    windowMs: 900_000,
    perName: 10,
    perNetwork: 50,
    userCodesPerNetwork: 50,
    registrationsPerNetwork: 100,
    codesPerAccount: 10,
    codesPerNetwork: 50,
    mailsPerAddress: 5,
    mailsPerNetwork: 50,
  }))

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyOfNetwork } from './network_key.ts'

const rows: [address: string, key: string][] = [
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:DB8:0001:0002::1', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:0:0:ffff::', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
]
for (const [address, key] of rows) test(`${address} is in network ${key}`, () => assert.equal(keyOfNetwork(address), key))

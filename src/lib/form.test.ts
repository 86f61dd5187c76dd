import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseForm } from './form.ts'
import { Problem } from './problem.ts'

test('a form is read', () => {
  assert.deepEqual({ ...parseForm('a=1&b=x+y%20z&c&d=&%C3%A4=%F0%9F%98%80') }, { a: '1', b: 'x y z', c: '', d: '', ä: '😀' })
  assert.deepEqual({ ...parseForm('') }, {})
  assert.deepEqual({ ...parseForm('__proto__=x') }, Object.fromEntries([['__proto__', 'x']]))
})

test('what two readers could read differently is refused', () => {
  const many = Array.from({ length: 101 }, (_, i) => `f${i}=`).join('&')
  for (const body of ['a=1&a=2', 'a=1&%61=2', 'a=%', 'a=%ff', '%c3=1', many])
    assert.throws(
      () => parseForm(body),
      (error) => error instanceof Problem && error.code === 'bad_request',
      body,
    )
})

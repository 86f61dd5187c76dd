/**
 * What an expression may cost when it is evaluated, judged by its text when it is written: configuration is not everyone's to write, but who
 * may write some of it must not be able to stop a server.
 */
import { setFlagsFromString } from 'node:v8'
import type { ASTNode } from '@marcbachmann/cel-js'

// V8 searches as Perl does, which takes minutes for `a*a*a*a*b` and a text of a few hundred letters. With these flags it goes on with its second
// engine, which is linear, once it went back too often (50,000 times), and says by the flag `l` which patterns that engine takes.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
setFlagsFromString('--enable-experimental-regexp-engine')

const isLinear = (pattern: string): boolean => {
  try {
    new RegExp(pattern, 'l')
    return true
  } catch {
    return false
  }
}

export const isNode = (value: unknown): value is ASTNode => typeof value === 'object' && value !== null && 'op' in value && 'args' in value

/** CEL promises linear matching (RE2); here it is JavaScript's, so a pattern is fixed in the text and may not search without bounds. */
export const patternProblem = (node: ASTNode): string | undefined => {
  if (node.op === 'rcall' && node.args[0] === 'matches') {
    const [pattern] = node.args[2]
    if (pattern?.op !== 'value' || typeof pattern.args !== 'string') return 'wants a fixed pattern for matches()'
    if (!isBoundedPattern(pattern.args))
      return 'has a pattern for matches() that is no regular expression, repeats what repeats already, or more than 16 times'
  }
  if (node.op === 'call' && node.args[0] === 'matches') return 'wants text.matches(pattern)'
  for (const inner of [node.args].flat(4)) {
    const problem = isNode(inner) ? patternProblem(inner) : undefined
    if (problem) return problem
  }
  return undefined
}

/**
 * No group that is repeated holds a repetition or a choice, no references back, no looking around; and V8 can match it in linear time, so
 * that it does where searching takes too long.
 */
export const isBoundedPattern = (pattern: string): boolean => {
  try {
    new RegExp(pattern, 'u')
  } catch {
    return false
  }
  if (!isLinear(pattern) && /[*+?|]|\{\d*,/.test(pattern)) return false
  // Classes and escapes weigh as much as a letter.
  const plain = pattern.replace(/\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\[^1-9k]/g, 'x').replace(/\[[^\]]*\]/g, 'x')
  if (/\\|\(\?[=!<]/.test(plain)) return false
  const risky = [false]
  for (const [token] of plain.matchAll(/\((?:\?:)?|\)(?:[*+?]|\{[^}]*\})?|[*+]|\{[^}]*\}|\|/g)) {
    if (token.startsWith('(')) risky.push(false)
    else if (token.startsWith(')')) {
      const inner = risky.pop() ?? false
      const repeats = /[*+{]/.test(token)
      if (repeats && inner) return false
      if (inner || repeats) risky[risky.length - 1] = true
    } else risky[risky.length - 1] = true
  }
  return true
}

/** Those that do something for each element of a list. */
const loops = ['all', 'exists', 'exists_one', 'map', 'filter']
const deepestLoops = 2
/** Those whose result may be larger than what they are given: `map(x, x + x)`, ten times, makes a thousand of one. */
const growing = ['map', 'bind']
const mostGrowth = 16

/** Loops within loops take the product of their lengths, and what is doubled often enough fills the memory. */
export const repetitionProblem = (ast: ASTNode): string | undefined => {
  let growth = 1
  const depthOf = (node: ASTNode): number => {
    if (node.op !== 'rcall') return Math.max(0, ...innerOf(node).map(depthOf))
    const [name, receiver, parameters] = node.args
    const [variable, ...rest] = parameters
    if (growing.includes(name) && variable?.op === 'id')
      growth *= Math.max(
        1,
        rest.reduce((count, part) => count + occurrences(part, String(variable.args)), 0),
      )
    const inner = Math.max(0, ...parameters.map(depthOf))
    return Math.max(depthOf(receiver), loops.includes(name) ? inner + 1 : inner)
  }
  const depth = depthOf(ast)
  if (depth > deepestLoops) return `has more than ${deepestLoops} loops within one another`
  return growth > mostGrowth ? 'repeats what it makes too often' : undefined
}

const innerOf = (node: ASTNode): ASTNode[] => [node.args].flat(4).filter(isNode)

const occurrences = (node: ASTNode, name: string): number =>
  node.op === 'id' && node.args === name ? 1 : innerOf(node).reduce((count, inner) => count + occurrences(inner, name), 0)

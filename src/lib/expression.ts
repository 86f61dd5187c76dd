/**
 * CEL, the expression language Kubernetes uses: no loops but over what it is given, no calls out. A bounded text is compiled
 * once, when configuration changes; evaluating is a function call.
 */
import { type ASTNode, Environment, Optional } from '@marcbachmann/cel-js'
import { isNode, patternProblem, repetitionProblem } from './expression_bounds.ts'

/** Type of each variable an expression can see, in CEL's words. */
export type ExpressionVariables = Readonly<Record<string, 'map' | 'string' | 'bool' | 'int' | 'double' | 'dyn' | 'list<string>'>>

export interface Expression {
  readonly text: string
  /** Plain values in and out: numbers, strings, booleans, arrays, objects, null. Throws when it fails, such as on a missing key. */
  evaluate(variables: Record<string, unknown>): unknown
  /** Which variables the text names. */
  readonly reads: ReadonlySet<string>
}

const maxLength = 2_000
const limits = { maxAstNodes: 500, maxDepth: 40, maxListElements: 200, maxMapEntries: 100, maxCallArguments: 20 }

const environments = new Map<string, Environment>()

const environmentOf = (variables: ExpressionVariables): Environment => {
  const key = JSON.stringify(variables)
  let environment = environments.get(key)
  if (!environment) {
    environment = new Environment({
      unlistedVariablesAreDyn: false,
      homogeneousAggregateLiterals: false,
      enableOptionalTypes: true,
      limits,
    })
    for (const [name, type] of Object.entries(variables)) environment.registerVariable(name, type)
    environments.set(key, environment)
  }
  return environment
}

/** What CEL answers, as JSON would hold it: its integers are BigInt, its maps may be Map, its optionals may be empty. */
const plain = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Optional) return value.hasValue() ? plain(value.value()) : null
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]))
  if (value && typeof value === 'object') {
    if (Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null) return String(value)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
  }
  return value ?? null
}

const firstLine = (error: unknown): string => (error as Error).message.split('\n')[0] ?? 'does not compile'

const namesIn = (node: ASTNode, names = new Set<string>()): ReadonlySet<string> => {
  if (node.op === 'id' && typeof node.args === 'string') names.add(node.args)
  for (const inner of [node.args].flat(4)) if (isNode(inner)) namesIn(inner, names)
  return names
}

/** What is wrong with an expression, undefined when nothing is. With `wanted`, its result must be able to have that type. */
export const checkExpression = (text: string, variables: ExpressionVariables, wanted?: 'bool' | 'string'): string | undefined => {
  if (text.length > maxLength) return `is longer than ${maxLength} characters`
  try {
    const { valid, type, error } = environmentOf(variables).check(text)
    if (!valid) return `is not a valid expression: ${firstLine(error)}`
    if (wanted && type !== wanted && type !== 'dyn') return `is of type ${type}, not ${wanted}`
    const { ast } = environmentOf(variables).parse(text)
    return patternProblem(ast) ?? repetitionProblem(ast)
  } catch (error) {
    return `is not a valid expression: ${firstLine(error)}`
  }
}

const compiled = new Map<string, Expression>()
const maxCompiled = 2_000

/** Throws when it does not compile; texts seen before are not compiled again. */
export const compileExpression = (text: string, variables: ExpressionVariables): Expression => {
  const key = `${JSON.stringify(variables)}\n${text}`
  const known = compiled.get(key)
  if (known) return known
  const problem = checkExpression(text, variables)
  if (problem) throw new Error(`expression ${problem}`)
  const run = environmentOf(variables).parse(text)
  const named = namesIn(run.ast)
  const expression: Expression = {
    text,
    evaluate: (values) => plain(run(values)),
    reads: new Set(Object.keys(variables).filter((name) => named.has(name))),
  }
  if (compiled.size >= maxCompiled) compiled.delete(compiled.keys().next().value as string)
  compiled.set(key, expression)
  return expression
}

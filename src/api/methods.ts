/** Which methods an address of our REST takes, for whoever came with another one (RFC 9110 section 15.5.6). */
import type { DescribedEndpoint } from './endpoint.ts'

type Described = Pick<DescribedEndpoint, 'method' | 'path' | 'params' | 'isEndless'>

const pieceOf = (piece: string, given: string): [string, string] | undefined => {
  const name = /^\{(\w+)\}$/.exec(piece)?.[1]
  return name === undefined || given === '' ? undefined : [name, decodeURIComponent(given)]
}

/** False as well for what names nothing that there can be. */
const isAt = ({ path, params }: Described, given: readonly string[]): boolean => {
  const pieces = path.split('/')
  if (pieces.length !== given.length) return false
  const found: [string, string][] = []
  for (const [index, piece] of pieces.entries()) {
    const parameter = pieceOf(piece, given[index] ?? '')
    if (parameter) found.push(parameter)
    else if (piece !== given[index]) return false
  }
  return params === undefined || params.safeParse(Object.fromEntries(found)).success
}

/** Of a path below `/api`, without its query; none: nothing stands there. */
export const methodsAt = (endpoints: readonly Described[], path: string): string[] => {
  const pieces = path.split('/')
  const methods = new Set<string>()
  for (const definition of endpoints) {
    if (!isAt(definition, pieces)) continue
    methods.add(definition.method)
    if (definition.method === 'GET' && !definition.isEndless) methods.add('HEAD')
  }
  return [...methods].toSorted()
}

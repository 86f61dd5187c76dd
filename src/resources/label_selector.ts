/** Label selectors as the command line and addresses write them: `app=web,tier in (a,b),!legacy`. */
import { type LabelSelector, labelKeyPattern, labelValuePattern, selects } from '#/kinds/fields.ts'
import { Problem } from '#/lib/problem.ts'

export { type LabelSelector, selects }

const requirement = /^\s*(?:(!)\s*(\S+)|(\S+?)\s*(==|=|!=)\s*(\S*)|(\S+)\s+(in|notin)\s*\(([^()]*)\)|(\S+))\s*$/

/** Throws Problem `invalid`, with `pointer` for the parameter it came in. */
export const parseLabelSelector = (text: string, pointer: string): LabelSelector => {
  const refuse = (detail: string): never => {
    throw new Problem('invalid', { errors: [{ pointer, detail }] })
  }
  if (text.length > 2_000) refuse('is longer than 2000 characters')
  const matchLabels: Record<string, string> = {}
  const matchExpressions: NonNullable<LabelSelector['matchExpressions']> = []
  for (const part of text.split(/,(?![^(]*\))/)) {
    const match = requirement.exec(part)
    if (!match) return refuse('wants a label selector such as app=web,tier!=test')
    const [, not, absent, equalKey, operator, value = '', setKey, setOperator, list = '', present] = match
    const key = absent ?? equalKey ?? setKey ?? present ?? ''
    if (!labelKeyPattern.test(key)) refuse(`${key} is no label key`)
    const values = setKey ? list.split(',').map((item) => item.trim()) : [value]
    for (const item of values) if (!labelValuePattern.test(item)) refuse(`${item} is no label value`)
    if (not) matchExpressions.push({ key, operator: 'DoesNotExist' })
    else if (present) matchExpressions.push({ key, operator: 'Exists' })
    else if (setKey) matchExpressions.push({ key, operator: setOperator === 'in' ? 'In' : 'NotIn', values })
    else if (operator === '!=') matchExpressions.push({ key, operator: 'NotIn', values })
    else if (key in matchLabels && matchLabels[key] !== value) matchExpressions.push({ key, operator: 'In', values })
    else matchLabels[key] = value
  }
  return { matchLabels, matchExpressions }
}

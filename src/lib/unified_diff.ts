/** Steps from one list of lines to another, by the longest common subsequence of what lies between their equal ends. */
type Step = { sign: ' ' | '-' | '+'; line: string }

const cellLimit = 4_000_000

const stepsBetween = (before: string[], after: string[]): Step[] => {
  let head = 0
  while (head < before.length && head < after.length && before[head] === after[head]) head++
  let tail = 0
  while (tail < before.length - head && tail < after.length - head && before[before.length - 1 - tail] === after[after.length - 1 - tail])
    tail++
  const old = before.slice(head, before.length - tail)
  const now = after.slice(head, after.length - tail)
  const same = (lines: string[]): Step[] => lines.map((line) => ({ sign: ' ', line }))
  return [...same(before.slice(0, head)), ...between(old, now), ...same(before.slice(before.length - tail))]
}

const between = (old: string[], now: string[]): Step[] => {
  const removed = old.map((line): Step => ({ sign: '-', line }))
  const added = now.map((line): Step => ({ sign: '+', line }))
  const width = now.length + 1
  if ((old.length + 1) * width > cellLimit) return [...removed, ...added]
  const common = new Uint32Array((old.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] ?? 0
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      common[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const steps: Step[] = []
  let i = 0
  let j = 0
  while (i < old.length || j < now.length) {
    const [removing, adding] = [removed[i], added[j]]
    if (removing && adding && removing.line === adding.line) {
      steps.push({ sign: ' ', line: removing.line })
      i++
      j++
    } else if (removing && (!adding || at(i + 1, j) >= at(i, j + 1))) {
      steps.push(removing)
      i++
    } else if (adding) {
      steps.push(adding)
      j++
    }
  }
  return steps
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

/** As `diff -u` prints it; '' when both are the same. */
export const unifiedDiff = (before: string, after: string, names: { before: string; after: string }, context = 3): string => {
  if (before === after) return ''
  const steps = stepsBetween(linesOf(before), linesOf(after))
  const wanted = new Set<number>()
  for (const [index, { sign }] of steps.entries())
    if (sign !== ' ') for (let near = index - context; near <= index + context; near++) wanted.add(near)
  let output = `--- ${names.before}\n+++ ${names.after}\n`
  let oldLine = 1
  let newLine = 1
  for (let index = 0; index < steps.length; ) {
    if (!wanted.has(index)) {
      oldLine++
      newLine++
      index++
      continue
    }
    const hunk: Step[] = []
    while (index < steps.length && wanted.has(index)) hunk.push(steps[index++] as Step)
    const oldCount = hunk.filter(({ sign }) => sign !== '+').length
    const newCount = hunk.filter(({ sign }) => sign !== '-').length
    output += `@@ -${range(oldLine, oldCount)} +${range(newLine, newCount)} @@\n${hunk.map(({ sign, line }) => `${sign}${line}\n`).join('')}`
    oldLine += oldCount
    newLine += newCount
  }
  return output
}

/** An empty range names the line before it, as `diff` does. */
const range = (start: number, count: number) => (count === 1 ? `${start}` : `${count === 0 ? start - 1 : start},${count}`)

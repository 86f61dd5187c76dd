/** Conditional requests (RFC 9110 section 13): what If-Match and If-None-Match say of the version that is there. */

export interface EntityTag {
  opaque: string
  isWeak: boolean
}

const element = /\s*(?:(W\/)?"([^"]*)"|([^\s",]+))\s*(?:,|$)|\s*,/y

/** `*`, or the tags of a list. One without quotes is taken as it stands; what is none at all ends the list. */
export const parseEntityTags = (header: string): '*' | EntityTag[] => {
  if (header.trim() === '*') return '*'
  const tags: EntityTag[] = []
  element.lastIndex = 0
  while (element.lastIndex < header.length) {
    const found = element.exec(header)
    if (!found) break
    const opaque = found[2] ?? found[3]
    if (opaque !== undefined) tags.push({ opaque, isWeak: found[1] !== undefined })
  }
  return tags
}

interface Conditions {
  'if-match'?: string | undefined
  'if-none-match'?: string | undefined
}

/** Whether a request that changes something may do so to this version of what is there; undefined when it sets no condition. */
export const preconditionOf = ({
  'if-match': match,
  'if-none-match': noneMatch,
}: Conditions): ((version: string) => boolean) | undefined => {
  const wanted = match === undefined ? '*' : parseEntityTags(match)
  const unwanted = noneMatch === undefined ? [] : parseEntityTags(noneMatch)
  if (wanted === '*' && unwanted.length === 0) return undefined
  return (version) => (wanted === '*' || wanted.some((tag) => isStrongly(tag, version))) && !names(unwanted, version)
}

/** Whether who reads has this version already. */
export const isKnownVersion = ({ 'if-none-match': header }: Conditions, version: string): boolean =>
  header !== undefined && names(parseEntityTags(header), version)

const isStrongly = ({ opaque, isWeak }: EntityTag, version: string): boolean => !isWeak && opaque === version

/** By the weak comparison (RFC 9110 section 8.8.3.2). */
const names = (tags: '*' | readonly EntityTag[], version: string): boolean => tags === '*' || tags.some(({ opaque }) => opaque === version)

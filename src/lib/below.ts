const slash = 47

/** Whether a path is the prefix, which has no slash at its end, or goes on below it. Asked several times of every request, so it makes no text. */
export const isBelow = (path: string, prefix: string): boolean =>
  prefix === '' || (path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === slash))

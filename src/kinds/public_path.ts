/** What of `proxy` settings is asked for at every request: outposts, which have no schemas, load it alone. */
import { isBoundedPattern } from '#/lib/expression_bounds.ts'

/**
 * Anchored, so that `/health` opens `/health` alone and not `/health-records`. Without a flag, so that it goes on in linear time where searching
 * takes too long.
 */
export const publicPathPattern = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`)

/** What is wrong with a pattern. It is told in the status, and until it is mended the application is closed. */
export const publicPathProblem = (pattern: string): string | undefined => {
  try {
    // By itself too: `a)|(.*` is only one when it stands in the brackets, and then opens everything.
    new RegExp(pattern, 'u')
    publicPathPattern(pattern)
  } catch (error) {
    return `is no regular expression: ${(error as Error).message}`
  }
  // These mean something with the flag u alone, and paths are ASCII.
  if (/\\[pPu]/.test(pattern)) return 'has \\p or \\u, and a path has nothing but ASCII'
  return isBoundedPattern(pattern)
    ? undefined
    : 'looks around or back, repeats what repeats already or more than 16 times: how long that takes has no bound'
}

/** Whether a host is that domain or below it. */
export const isUnder = (host: string, domain: string): boolean => host === domain || host.endsWith(`.${domain}`)

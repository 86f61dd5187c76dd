/** The outpost beside core in a server process: it reads core's database, and signs people in over its own address. */
import type { Core } from './core.ts'
import type { Feed, FeedDeps } from './feed.ts'
import { fetchAt } from './fetch_at.ts'
import { openKnowledge } from './knowledge.ts'
import { findMachine, findPerson } from './people_of_core.ts'

export interface EmbeddedDeps extends FeedDeps {
  feed: () => Promise<Feed>
  /** Where this very server listens, for the sign-ins of its own outpost. */
  port: () => number
}

export const openEmbeddedCore = async ({ db, clock, feed: openFeed, port }: EmbeddedDeps): Promise<Core & { close(): void }> => {
  const feed = await openFeed()
  const knowledge = openKnowledge({ clock })
  const compile = () => knowledge.take(feed.applications(undefined))
  // First, so that nothing comes between.
  const stop = feed.follow({ tell: knowledge.take, changed: compile })
  compile()
  try {
    for await (const message of feed.endings('0')) knowledge.take(message)
  } catch (error) {
    // It is opened again, and follows anew then.
    stop()
    throw error
  }

  return {
    ...knowledge,
    isAway: () => false,
    findPerson: (user_id) => findPerson(db, user_id),
    findMachine: (token, { key }) => findMachine(db, { token, key }, clock()),
    fetch: (url, options) => fetchAt(url, options, { at: { host: '127.0.0.1', port: port() } }),
    close: () => {
      stop()
    },
  }
}

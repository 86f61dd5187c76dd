import { z } from 'zod'
import { largestPage } from '#/identity/page.ts'

/** Every list of ours takes these and has this shape. */
export const listQuery = {
  cursor: z.string().max(2_000).optional().describe('What `next` of the page before said.'),
  limit: z.coerce.number().int().min(1).max(largestPage).default(50).describe('Items at most.'),
}

export const listOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), next: z.string().nullable().describe('Cursor of the next page; null on the last one.') })

import { z } from 'zod'

/** A resource of any kind; openapi.json shows the kind's own schema in its place. */
export const anyResource = z.record(z.string(), z.unknown())

export const anyResourceList = z.strictObject({ items: z.array(anyResource), next: z.string().nullable() })

import type { Kind } from '#/kinds/kind.ts'
import { configurationRows } from './configuration_rows.ts'
import { groups } from './groups.ts'
import type { ResourceStore } from './store.ts'
import { users } from './users.ts'

const stores = { resources: configurationRows, users, groups } satisfies Record<Kind['storage'], ResourceStore>

export const storeOf = ({ storage }: Pick<Kind, 'storage'>): ResourceStore => stores[storage]

import { createEventPartitions } from '#/model/events.ts'
import type { Task } from '../task.ts'

/** Makes the partitions of the months that come, long before they begin. */
export const create_event_partitions: Task = async ({ db, clock }) => ({ made: await createEventPartitions(db, clock()) })

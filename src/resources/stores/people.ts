/** What User and Group have in common: how a row of identity is shown as a resource, and how its refusals name fields of a spec. */
import type { ResourceMetadata } from '#/identity/resource_place.ts'
import { apiVersion, type Resource } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import type { Desired } from '../check.ts'
import type { Stored } from './store.ts'

interface Person {
  createdAt: Date
  resourceVersion: string
  metadata: ResourceMetadata
}

/** Marks a row whose manifest says `paused`. */
const pausedMark = 'signet.dev/paused'

const isPaused = ({ metadata }: Person): boolean => metadata.annotations[pausedMark] === 'true'

export const renderPerson = (kind: 'User' | 'Group', person: Person, spec: Record<string, unknown>): Resource => {
  const { [pausedMark]: _mark, ...annotations } = person.metadata.annotations
  const { name, namespace, labels, generation } = person.metadata
  const since = person.createdAt.toISOString()
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, labels, annotations, generation, resourceVersion: person.resourceVersion, creationTimestamp: since },
    spec: { ...(isPaused(person) ? { paused: true } : {}), ...spec },
    status: {
      observedGeneration: generation,
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Stored',
          message: 'it is in the directory',
          lastTransitionTime: since,
          observedGeneration: generation,
        },
      ],
    },
  }
}

export const annotationsOf = ({ annotations, parsed }: Desired): Record<string, string> =>
  parsed.paused ? { ...annotations, [pausedMark]: 'true' } : annotations

/** Rows of identity are not locked before they are read: writing asks whether they are still what was read. */
export const seenIn = ({ resource }: Stored): string => resource.metadata.resourceVersion

/** Fields of identity stand in the spec. */
export const inSpec = async <Result>(work: Promise<Result>): Promise<Result> => {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof Problem) || !error.errors.length) throw error
    const errors = error.errors.map(({ pointer, detail }) => ({
      pointer: pointer.startsWith('/metadata') ? pointer : `/spec${pointer}`,
      detail,
    }))
    throw new Problem(error.code, { detail: error.detail, errors, cause: error })
  }
}

export const refusePausedCreation = (): never => {
  throw new Problem('invalid', { errors: [{ pointer: '/spec/paused', detail: 'is for what exists already' }] })
}

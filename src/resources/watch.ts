/**
 * A folder of manifests that is applied when it changes. What is wrong is an event `configuration.error` with file and line, and
 * stops nothing else. The folder is looked at often besides being watched, since mounts (a ConfigMap, a network share) tell of no change.
 */
import { watch } from 'node:fs'
import { recordEvent } from '#/events/record.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import { type ApplyResult, applyManifests } from './apply.ts'
import type { ResourceDeps } from './attempt.ts'
import { type Manifest, parseManifests } from './manifest.ts'
import { listManifestFiles, type ManifestFile, readManifestFile } from './manifest_folder.ts'

export interface ManifestWatch {
  /** Settles when the folder was applied for the first time; never rejects. */
  applied: Promise<void>
  close(): Promise<void>
}

interface WatchDeps extends ResourceDeps {
  log: Log
  clock: Clock
}

const debounceMs = 300
const lookMs = 5_000
const actor = 'manifests'

interface Fault {
  file: string
  line?: number | undefined
  pointer: string
  detail: string
  resource: string
}

export const watchManifests = (deps: WatchDeps, folder: string): ManifestWatch => {
  let seen = ''
  let told = ''
  let isRetrying = false
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let running = Promise.resolve()

  const look = async (): Promise<void> => {
    if (closed) return
    try {
      const { files, skipped } = await listManifestFiles(folder)
      const fingerprint = JSON.stringify([files.map(({ path, version }) => `${path} ${version}`), skipped])
      if (fingerprint === seen && !isRetrying) return
      const { results, faults: refused } = await applyFiles(deps, files)
      const faults = [...skipped.map(({ name: file, detail }) => ({ file, pointer: '', detail, resource: '' })), ...refused]
      seen = fingerprint
      isRetrying = refused.length > 0
      const telling = JSON.stringify(faults)
      if (telling !== told) await tell(deps, faults)
      told = telling
      const changed = results.filter(({ result }) => result === 'created' || result === 'configured').length
      if (changed)
        deps.log.info(
          { event: 'manifests.applied', changed, refused: results.filter(({ result }) => result === 'refused').length },
          'manifests applied',
        )
    } catch (error) {
      // The folder is away, or the database: looked at again soon.
      deps.log.warn({ event: 'manifests.failed', folder, error: (error as Error).message }, 'manifests could not be applied')
    }
  }
  const lookInTurn = (): Promise<void> => {
    running = running.then(look)
    return running
  }
  const lookSoon = () => {
    clearTimeout(timer)
    timer = setTimeout(lookInTurn, debounceMs)
    timer.unref()
  }

  const watcher = startWatching(folder, lookSoon)
  const interval = setInterval(lookInTurn, lookMs)
  interval.unref()
  return {
    applied: lookInTurn(),
    close: async () => {
      closed = true
      clearTimeout(timer)
      clearInterval(interval)
      watcher?.close()
      await running
    },
  }
}

/** Undefined where watching is not possible; looking often serves then. */
const startWatching = (folder: string, changed: () => void) => {
  try {
    return watch(folder, { recursive: true, persistent: false }, changed).on('error', () => {})
  } catch {
    return undefined
  }
}

const applyFiles = async (deps: WatchDeps, files: readonly ManifestFile[]): Promise<{ results: ApplyResult[]; faults: Fault[] }> => {
  const manifests: Manifest[] = []
  const sources: string[] = []
  const faults: Fault[] = []
  for (const file of files) {
    const read = await readManifestFile(file)
    if ('fault' in read) {
      faults.push({ file: file.name, pointer: '', detail: read.fault, resource: '' })
      continue
    }
    for (const manifest of await parseManifests(read.text)) {
      manifests.push(manifest)
      sources.push(file.name)
    }
  }
  const results = await applyManifests(deps, manifests, { actor }, deps.clock())
  for (const [index, { kind, namespace, name, errors }] of results.entries())
    for (const { pointer, detail, line } of errors)
      faults.push({ file: sources[index] ?? '', line, pointer, detail, resource: kind ? `${kind} ${namespace}/${name}` : '' })
  return { results, faults }
}

const tell = async ({ db, log, clock }: WatchDeps, faults: readonly Fault[]): Promise<void> => {
  for (const { file, line, pointer, detail, resource } of faults.slice(0, 100)) {
    log.warn({ event: 'configuration.error', file, line, pointer, detail, resource }, 'a manifest is refused')
    await recordEvent(
      db,
      {
        action: 'configuration.error',
        severity: 'error',
        actor,
        target: { kind: 'Manifest', name: line === undefined ? file : `${file}:${line}` },
        data: { file, ...(line === undefined ? {} : { line }), pointer, detail, ...(resource ? { resource } : {}) },
      },
      clock(),
    )
  }
}

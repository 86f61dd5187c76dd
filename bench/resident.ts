import { readFileSync } from 'node:fs'

/** Resident memory of a process. */
export const residentKiB = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** What was measured, for people as a table with floor and aim, for programs one object a line. */
import { figures, holds } from './figures.ts'
import type { Figures } from './load.ts'
import type { Measured } from './scenarios/scenario.ts'

export interface Report {
  load(name: string, figures: Figures): void
  figure(name: string, measured: Measured): void
  leftOut(name: string, reason: string): void
  failed(name: string, error: Error): void
  end(): void
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

const jsonReport = (): Report => {
  const line = (object: object) => process.stdout.write(`${JSON.stringify(object)}\n`)
  return {
    load: (name, { rps, limit_rps, ratio, p50_ms, p99_ms }) =>
      line({
        name,
        rps: rounded(rps, 1),
        limit_rps: limit_rps === undefined ? null : rounded(limit_rps, 1),
        ratio: ratio === undefined ? null : rounded(ratio, 3),
        p50_ms: rounded(p50_ms, 2),
        p99_ms: rounded(p99_ms, 2),
      }),
    figure: (name, { details }) =>
      line({
        name,
        ...Object.fromEntries(Object.entries(details).map(([key, value]) => [key, typeof value === 'number' ? rounded(value, 3) : value])),
      }),
    leftOut: (name, reason) => process.stderr.write(`${name}: left out, ${reason}\n`),
    failed: (name, error) => process.stderr.write(`${name}: ${error.message}\n`),
    end: () => {},
  }
}

const tableReport = (target: string): Report => {
  const widths = [20, 14, 14, 8, 9, 9, 30]
  const line = (...cells: string[]) =>
    process.stdout.write(
      `${cells
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join(' ')
        .trimEnd()}\n`,
    )
  line('', target === 'signet' ? 'ours' : 'it', 'limit', 'ratio', 'p50 ms', 'p99 ms', 'at least / aim')
  const promise = (name: string, value: number): string => {
    const figure = figures[name]
    if (!figure) return ''
    const mark = holds(name, value) ? (holds(name, value) && reachesAim(name, value) ? 'aim reached' : 'held') : 'BELOW'
    return `${figure.floor} / ${figure.aim} ${figure.unit}: ${mark}`
  }
  return {
    load: (name, { rps, limit_rps, ratio, p50_ms, p99_ms }) =>
      line(
        name,
        `${rps.toFixed(0)}/s`,
        limit_rps === undefined ? '' : `${limit_rps.toFixed(0)}/s`,
        ratio === undefined ? '' : ratio.toFixed(2),
        p50_ms.toFixed(2),
        p99_ms.toFixed(2),
        ratio === undefined ? '' : promise(name, ratio),
      ),
    figure: (name, { value, ours, limit }) => line(name, ours, limit, limit && value.toFixed(1), '', '', promise(name, value)),
    leftOut: (name, reason) => line(name, `left out: ${reason}`),
    failed: (name, error) => line(name, `FAILED: ${error.message.split('\n')[0]}`),
    end: () => {},
  }
}

const reachesAim = (name: string, value: number): boolean => {
  const figure = figures[name]
  return figure !== undefined && (figure.direction === 'up' ? value >= figure.aim : value <= figure.aim)
}

export const openReport = ({ json, target }: { json: boolean; target: string }): Report => (json ? jsonReport() : tableReport(target))

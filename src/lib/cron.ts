/** Schedules in cron's words, five fields in UTC: `0 3 1 * *` is the first of each month at three. */

export interface CronSchedule {
  minutes: ReadonlySet<number>
  hours: ReadonlySet<number>
  days: ReadonlySet<number>
  months: ReadonlySet<number>
  /** 0 is Sunday. */
  weekdays: ReadonlySet<number>
  /** With both days and weekdays restricted, either is enough (POSIX crontab). */
  eitherDay: boolean
}

const named: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
}

/** Undefined for what is no schedule. */
const parseField = (text: string, least: number, most: number): Set<number> | undefined => {
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part)
    if (!match) return undefined
    const [, from, to, step] = match
    const first = from === undefined ? least : Number(from)
    const last = to !== undefined ? Number(to) : from === undefined || step !== undefined ? most : first
    const every = step === undefined ? 1 : Number(step)
    if (first < least || last > most || first > last || every < 1) return undefined
    for (let value = first; value <= last; value += every) values.add(value)
  }
  return values
}

/** Undefined for what is no schedule, also for a day that never comes, such as the 31st of February. */
export const parseCron = (text: string): CronSchedule | undefined => {
  const fields = (named[text] ?? text).trim().split(/\s+/)
  if (fields.length !== 5) return undefined
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = parseField(minute, 0, 59)
  const hours = parseField(hour, 0, 23)
  const days = parseField(day, 1, 31)
  const months = parseField(month, 1, 12)
  const weekdays = parseField(weekday, 0, 7)
  if (!minutes || !hours || !days || !months || !weekdays) return undefined
  if (weekdays.has(7)) weekdays.add(0)
  const schedule = { minutes, hours, days, months, weekdays, eitherDay: !day.startsWith('*') && !weekday.startsWith('*') }
  return lastDue(schedule, new Date('2028-12-31T23:59:59Z'), new Date('2019-12-31T00:00:00Z')) ? schedule : undefined
}

const dayMs = 86_400_000

const isDay = (date: Date, { days, months, weekdays, eitherDay }: CronSchedule): boolean => {
  if (!months.has(date.getUTCMonth() + 1)) return false
  const byDay = days.has(date.getUTCDate())
  const byWeekday = weekdays.has(date.getUTCDay())
  return eitherDay ? byDay || byWeekday : byDay && byWeekday
}

/** The last time it was due, not after `now` and after `since`; undefined when it was not. */
export const lastDue = (schedule: CronSchedule, now: Date, since: Date): Date | undefined => {
  for (let day = Math.floor(now.getTime() / dayMs) * dayMs; day > since.getTime() - dayMs; day -= dayMs) {
    if (!isDay(new Date(day), schedule)) continue
    for (const hour of [...schedule.hours].sort((a, b) => b - a))
      for (const minute of [...schedule.minutes].sort((a, b) => b - a)) {
        const time = day + hour * 3_600_000 + minute * 60_000
        if (time <= now.getTime()) return time > since.getTime() ? new Date(time) : undefined
      }
  }
  return undefined
}

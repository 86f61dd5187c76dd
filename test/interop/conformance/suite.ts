/** The conformance suite's REST interface, as far as running plans needs it (the suite's own /api-document.html describes it all). */

export type Result = 'PASSED' | 'REVIEW' | 'WARNING' | 'SKIPPED' | 'FAILED' | 'INTERRUPTED' | 'TIMEOUT'

export interface Module {
  testModule: string
  variant?: Record<string, string>
}

export interface LogEntry {
  src: string
  msg: string
  result?: string
  [field: string]: unknown
}

export interface Outcome {
  /** Of the module's run, for `/log-detail.html?log=ID`. */
  id: string
  result: Result
  /** One line for each entry of the log that is a failure, a warning or wants a look. */
  reasons: string[]
}

export interface Suite {
  createPlan(name: string, variant: Record<string, string>, configuration: unknown): Promise<{ id: string; modules: Module[] }>
  /** Runs one module to its end, at most `moduleTimeoutMs`. Where the module asks for something to be done at the provider before it goes on, `prepare` does it. */
  runModule(plan: string, module: Module, prepare?: () => Promise<void>): Promise<Outcome>
  readLog(id: string): Promise<LogEntry[]>
}

const moduleTimeoutMs = 180_000
const pollMs = 700
const requestTimeoutMs = 120_000

/** `url` is the suite's address in development mode (no sign-in); its certificate must be trusted (`NODE_EXTRA_CA_CERTS`). */
export const openSuite = (url: string, token?: string): Suite => {
  const call = async <Answer>(method: string, path: string, query: Record<string, string> = {}, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${url}/api/${path}?${new URLSearchParams(query)}`, {
      method,
      headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: body ? JSON.stringify(body) : null,
      signal: AbortSignal.timeout(requestTimeoutMs),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`the suite answered ${method} ${path} with ${response.status}: ${text.slice(0, 300)}`)
    return (text ? JSON.parse(text) : undefined) as Answer
  }
  const readLog = (id: string) => call<LogEntry[]>('GET', `log/${id}`)

  return {
    readLog,
    createPlan: (planName, variant, configuration) =>
      call('POST', 'plan', { planName, ...(Object.keys(variant).length ? { variant: JSON.stringify(variant) } : {}) }, configuration),
    runModule: async (plan, { testModule, variant }, prepare) => {
      const { id } = await call<{ id: string }>('POST', 'runner', {
        test: testModule,
        plan,
        ...(variant ? { variant: JSON.stringify(variant) } : {}),
      })
      let prepared = false
      for (const deadline = Date.now() + moduleTimeoutMs; ; ) {
        const { status, result } = await call<{ status: string; result?: Result }>('GET', `info/${id}`)
        if (status === 'FINISHED' || status === 'INTERRUPTED')
          return { id, result: result ?? 'INTERRUPTED', reasons: result === 'PASSED' ? [] : explain(await readLog(id)) }
        // Set up, and left to be started by whoever has done what the module asks for.
        if (status === 'CONFIGURED' && prepare && !prepared) {
          prepared = true
          await prepare()
          await call('POST', `runner/${id}`)
        }
        if (Date.now() > deadline) {
          const reasons = explain(await readLog(id))
          await call('DELETE', `runner/${id}`).catch(() => {})
          return { id, result: 'TIMEOUT', reasons }
        }
        await new Promise((resolve) => setTimeout(resolve, pollMs))
      }
    },
  }
}

const explain = (log: LogEntry[]): string[] =>
  log
    .filter(({ result }) => ['FAILURE', 'WARNING', 'REVIEW', 'SKIPPED', 'INTERRUPTED'].includes(result ?? ''))
    .map(({ result, src, msg }) => `${result} ${src}: ${msg}`)

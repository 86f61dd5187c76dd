/** axe-core on what Chromium shows, in both colour schemes. It needs scripts: a page without them is shown to it a second time. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { openContext } from './browser.ts'

interface Violation {
  id: string
  nodes: { target: unknown; failureSummary?: string }[]
}

export interface Axe {
  /** What it finds wrong in this page, and where. */
  violations(page: Page): Promise<{ scheme: string; id: string; at: string[] }[]>
  close(): Promise<void>
}

export const openAxe = async (browser: Browser, origins: string[]): Promise<Axe> => {
  const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  const { context } = await openContext(browser, { javaScript: true, origins })
  const mirror = await context.newPage()
  let body = ''
  await context.route('**/mirror', (route) => route.fulfill({ body, contentType: 'text/html; charset=utf-8' }))
  return {
    violations: async (page) => {
      body = await page.content()
      await mirror.goto(new URL('/mirror', page.url()).href)
      await mirror.evaluate(source)
      const found = []
      for (const [scheme, asked] of [
        ['light', 'axe.run()'],
        // All that a scheme changes.
        ['dark', "axe.run({ runOnly: ['color-contrast'] })"],
      ] as const) {
        await mirror.emulateMedia({ colorScheme: scheme })
        const { violations } = await mirror.evaluate<{ violations: Violation[] }>(asked)
        found.push(
          ...violations.map(({ id, nodes }) => ({
            scheme,
            id,
            at: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`),
          })),
        )
      }
      return found
    },
    close: () => context.close(),
  }
}

/** Chromium of the machine, driven through playwright-core. */
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { findProgram } from './needs.ts'

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: findProgram('chromium', 'chromium-browser', 'google-chrome') ?? 'chromium', args: flags })

export interface Watched {
  context: BrowserContext
  /** What the pages did wrong: script errors, refused content, requests to other origins than these. */
  complaints: string[]
}

export const openContext = async (
  browser: Browser,
  {
    javaScript,
    origins,
    colorScheme = 'light',
    viewport = { width: 1280, height: 900 },
    ignoreHTTPSErrors = false,
  }: {
    javaScript: boolean
    origins: string[]
    colorScheme?: 'light' | 'dark'
    viewport?: { width: number; height: number }
    ignoreHTTPSErrors?: boolean
  },
): Promise<Watched> => {
  const context = await browser.newContext({ javaScriptEnabled: javaScript, colorScheme, viewport, ignoreHTTPSErrors, locale: 'en-GB' })
  const complaints: string[] = []
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url())
    if (protocol.startsWith('http') && !origins.includes(origin)) complaints.push(`a request to ${request.url()}`)
  })
  context.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`console: ${message.text()} (${message.location().url})`)
  })
  context.on('weberror', (error) => complaints.push(`script: ${error.error().message}`))
  context.setDefaultTimeout(15_000)
  return { context, complaints }
}

/** Gives a page an authenticator of Chromium's own: it keeps passkeys, verifies its person and agrees to whatever it is asked. */
export const addAuthenticator = async (context: BrowserContext, page: Page): Promise<void> => {
  const devtools = await context.newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
}

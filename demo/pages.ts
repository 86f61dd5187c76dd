/** The pages of the demo: plain HTML that works without scripts, by keyboard and with a screen reader, light and dark. */

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

const html = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character] ?? '')

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${html(title)}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header><p class="brand">Demo application</p></header>
<main>
${body}
</main>
</body>
</html>
`

export const signedOutPage = ({ issuer }: { issuer: string }): string =>
  page(
    'Demo application',
    `<h1>Welcome</h1>
<p>This small application keeps no passwords. It asks <strong>${html(issuer)}</strong> who you are, and shows what it learns.</p>
<form method="post" action="/sign-in"><button type="submit">Sign in</button></form>`,
  )

const said = (value: unknown): string => {
  if (Array.isArray(value)) return value.length ? value.map(said).join(', ') : 'none'
  if (value !== null && typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

/** Seconds since 1970 in these claims (OpenID Connect Core section 2). */
const times = new Set(['iat', 'exp', 'auth_time', 'nbf', 'updated_at'])

const shown = (name: string, value: unknown): string =>
  times.has(name) && typeof value === 'number'
    ? `<time datetime="${new Date(value * 1000).toISOString()}">${html(new Date(value * 1000).toUTCString())}</time>`
    : html(said(value))

const table = (caption: string, claims: Record<string, unknown>): string => `<table>
<caption>${html(caption)}</caption>
<thead><tr><th scope="col">Claim</th><th scope="col">Value</th></tr></thead>
<tbody>
${Object.entries(claims)
  .map(([name, value]) => `<tr><th scope="row"><code>${html(name)}</code></th><td>${shown(name, value)}</td></tr>`)
  .join('\n')}
</tbody>
</table>`

export const signedInPage = ({
  claims,
  userinfo,
  scope,
  issuer,
}: {
  claims: Record<string, unknown>
  userinfo: Record<string, unknown>
  scope: string
  issuer: string
}): string => {
  const name = said(userinfo.name ?? userinfo.preferred_username ?? claims.name ?? claims.sub)
  return page(
    `${name} – Demo application`,
    `<h1>Hello, ${html(name)}</h1>
<p>You are signed in by <strong>${html(issuer)}</strong>. This is what it told about you, for the scopes <code>${html(scope)}</code>.</p>
<form method="post" action="/sign-out"><button type="submit" class="quiet">Sign out</button></form>
${table('Userinfo', userinfo)}
${table('ID token', claims)}`,
  )
}

export const errorPage = ({ title, detail }: { title: string; detail: string }): string =>
  page(
    title,
    `<h1>${html(title)}</h1>
<p role="alert">${html(detail)}</p>
<form method="post" action="/sign-in"><button type="submit">Try again</button></form>
<p><a href="/">To the start</a></p>`,
  )

export const notFoundPage = (): string => page('Nothing here', '<h1>There is nothing here</h1>\n<p><a href="/">To the start</a></p>')

export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0b6b4f"/><path d="M4.5 8.5 7 11l4.5-6" fill="none" stroke="#fff" stroke-width="2"/></svg>
`

export const style = `:root {
  color-scheme: light dark;
  --ground: #f4f6f4; --card: #fff; --text: #16211c; --soft: #55645c; --line: #d5ddd8; --accent: #0b6b4f; --on-accent: #fff;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #101613; --card: #18211d; --text: #e7efea; --soft: #a3b3aa; --line: #2f3c35; --accent: #5fd3a8; --on-accent: #06251b; }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.55 system-ui, sans-serif }
header { border-bottom: 1px solid var(--line); background: var(--card) }
.brand { max-width: 46rem; margin: 0 auto; padding: .9rem 1.25rem; font-weight: 600; color: var(--accent) }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere }
p { margin: 0 0 1.25rem; max-width: 38rem }
a { color: var(--accent) }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: .5rem 1.5rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); cursor: pointer }
button.quiet { background: transparent; color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
form { margin: 0 0 2rem }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); margin: 0 0 2rem }
caption { text-align: left; font-weight: 600; padding: 0 0 .5rem }
th, td { text-align: left; vertical-align: top; padding: .55rem .8rem; border-top: 1px solid var(--line); font-weight: 400 }
td { overflow-wrap: anywhere }
thead th { color: var(--soft); font-size: .875rem; border-top: 0 }
tbody th { width: 12rem; color: var(--soft) }
@media (max-width: 32rem) {
  tbody tr { display: block; border-top: 1px solid var(--line); padding: .5rem 0 }
  tbody th, tbody td { display: block; width: auto; border: 0; padding: .1rem .8rem }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
}
`

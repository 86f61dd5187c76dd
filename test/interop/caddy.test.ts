/** Debian's Caddy with `forward_auth`, set up as docs/guides/outposts/caddy.md says. */
import { tellForwardStory } from '../support/forward_story.ts'
import { blocksOf, fillIn } from '../support/guide.ts'

tellForwardStory({
  name: 'caddy',
  configure: ({ folder, port, hosts, signetPort, upstreamPort }) => {
    const [snippet = '', site = '', removed = '', copied = ''] = blocksOf('outposts/caddy', 'caddyfile')
    const sites = hosts.map((host) =>
      fillIn(site, {
        'wiki.example.com': `http://${host}:${port}`,
        '127.0.0.1:9000': `127.0.0.1:${signetPort}`,
        '127.0.0.1:8080': `127.0.0.1:${upstreamPort}`,
      }),
    )
    return {
      files: {
        Caddyfile: `{
	admin off
	auto_https off
	default_bind 127.0.0.1
}
${fillIn(snippet, {
  '127.0.0.1:9000': `127.0.0.1:${signetPort}`,
  '\tforward_auth': `\t${removed}\tforward_auth`,
  '\t\tcopy_headers X-Signet': `\t\t${copied}\t\tcopy_headers X-Signet`,
})}
${sites.join('\n')}
`,
      },
      args: ['run', '--config', `${folder}/Caddyfile`, '--adapter', 'caddyfile'],
    }
  },
})

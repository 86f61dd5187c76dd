/** Debian's HAProxy with a script of its own Lua, set up as docs/guides/outposts/haproxy.md says. */
import { tellForwardStory } from '../support/forward_story.ts'
import { blocksOf, fillIn } from '../support/guide.ts'

tellForwardStory({
  name: 'haproxy',
  configure: ({ folder, port, signetPort, upstreamPort }) => {
    const [script = '', told = ''] = blocksOf('outposts/haproxy', 'lua')
    const [configuration = '', removed = ''] = blocksOf('outposts/haproxy', 'haproxy')
    return {
      files: {
        'signet.lua': fillIn(script, { 'local shown': `${told}local shown` }),
        'haproxy.cfg': fillIn(configuration, {
          '/etc/haproxy/signet.lua': `${folder}/signet.lua`,
          'bind :443 ssl crt /etc/haproxy/certs/': `bind 127.0.0.1:${port}`,
          '    http-request set-header X-Forwarded-For': `${removed}    http-request set-header X-Forwarded-For`,
          '127.0.0.1:9000': `127.0.0.1:${signetPort}`,
          '127.0.0.1:8080': `127.0.0.1:${upstreamPort}`,
        }),
      },
      args: ['-db', '-f', `${folder}/haproxy.cfg`],
    }
  },
})

/** Debian's HAProxy with a script of its own Lua, set up as docs/guides/outposts/haproxy.md says. */
import { tellForwardStory } from '../support/forward_story.ts'
import { blocksOf, fillIn } from '../support/guide.ts'

tellForwardStory({
  name: 'haproxy',
  configure: ({ folder, port, signetPort, upstreamPort }) => {
    const [script = ''] = blocksOf('outposts/haproxy', 'lua')
    const [configuration = ''] = blocksOf('outposts/haproxy', 'haproxy')
    return {
      files: {
        'signet.lua': script,
        'haproxy.cfg': fillIn(configuration, {
          '/etc/haproxy/signet.lua': `${folder}/signet.lua`,
          'bind :443 ssl crt /etc/haproxy/certs/': `bind 127.0.0.1:${port}`,
          '127.0.0.1:9000': `127.0.0.1:${signetPort}`,
          '127.0.0.1:8080': `127.0.0.1:${upstreamPort}`,
        }),
      },
      args: ['-db', '-f', `${folder}/haproxy.cfg`],
    }
  },
})

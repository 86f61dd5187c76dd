/** Debian's nginx with `auth_request`, set up as docs/guides/outposts/nginx.md says. */
import { tellForwardStory } from '../support/forward_story.ts'
import { blocksOf, fillIn } from '../support/guide.ts'

tellForwardStory({
  name: 'nginx',
  configure: ({ folder, port, hosts, signetPort, upstreamPort }) => {
    const [asking = '', telling = '', server = '', askingMore = '', tellingMore = ''] = blocksOf('outposts/nginx', 'nginx')
    const servers = hosts.map((host) =>
      fillIn(server, {
        'listen 443 ssl;': `listen 127.0.0.1:${port};`,
        'wiki.example.com': host,
        '127.0.0.1:8080': `127.0.0.1:${upstreamPort}`,
      }),
    )
    const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
    return {
      files: {
        'snippets/signet.conf': fillIn(askingMore + asking, { '127.0.0.1:9000': `127.0.0.1:${signetPort}` }),
        'snippets/signet_headers.conf': telling + tellingMore,
        'nginx.conf': `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events {}
http {
access_log off;
${scratch.join('\n')}
${servers.join('\n')}
}
`,
      },
      args: ['-p', folder, '-c', `${folder}/nginx.conf`, '-e', 'stderr'],
    }
  },
})

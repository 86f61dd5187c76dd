import type { ServerResponse } from 'node:http'

/** The one refusal of the quick way: another request was first, which shows only when it is too late to take another way. In the library's words. */
export const refuseUsed = (response: ServerResponse): true => {
  const body = JSON.stringify({ error: 'invalid_grant', error_description: 'grant request is invalid' })
  response.writeHead(400, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
  return true
}

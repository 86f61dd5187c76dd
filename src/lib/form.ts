import { Problem } from './problem.ts'

/** What a form of ours may weigh. */
export const formLimit = 16 * 1024
const fieldLimit = 100

/**
 * `application/x-www-form-urlencoded` (WHATWG URL, section 5), stricter than browsers need: a field that comes twice, an escape that is
 * no UTF-8 and more than a hundred fields are refused, so that no two readers of one body can see different values.
 */
export const parseForm = (body: string): Record<string, string> => {
  const form: Record<string, string> = Object.create(null)
  if (body === '') return form
  const pairs = body.split('&')
  if (pairs.length > fieldLimit) throw new Problem('bad_request', { detail: 'the form has too many fields' })
  for (const pair of pairs) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = decode(at < 0 ? pair : pair.slice(0, at))
    if (name in form) throw new Problem('bad_request', { detail: 'a field of the form comes more than once' })
    form[name] = at < 0 ? '' : decode(pair.slice(at + 1))
  }
  return form
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new Problem('bad_request', { detail: 'the form is not percent-encoded UTF-8' })
  }
}

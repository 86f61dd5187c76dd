/** Parts of an address of a scheme that URL does not know, and so takes as they come. */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** Undefined for what can't be decoded, and for control characters, which would end a line of the protocol. */
export const decodePart = (text: string): string | undefined => {
  try {
    const decoded = decodeURIComponent(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none belongs into what is sent in a line
    return /[\u0000-\u001f\u007f]/.test(decoded) ? undefined : decoded
  } catch {
    return undefined
  }
}

/** A name or an address, without brackets; undefined when it is neither. */
export const hostOf = ({ hostname }: URL): string | undefined => {
  const literal = /^\[(.+)\]$/.exec(hostname)?.[1]
  if (literal !== undefined) return isIP(literal) === 6 ? literal : undefined
  const ascii = domainToASCII(decodePart(hostname) ?? '')
  return /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?$/.test(ascii) ? ascii : undefined
}

import { domainToASCII } from 'node:url'

/**
 * A mail address in its plain form (RFC 5321 section 2.3.11), letters of any script (RFC 6531). Not the forms that nobody is given and
 * that parsers disagree about: quoted names, comments, routes.
 */
export const emailPattern = /^[^\s@"(),:;<>[\\\]]{1,64}@[^\s@"(),:;<>[\\\]]{1,253}$/

/** Control, format, private characters, lone surrogates and every separator: none of them ends up in a command or header. */
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Z}]/u

export const isMailAddress = (text: string): boolean => emailPattern.test(text) && !invisible.test(text)

export interface Mailbox {
  /** What people read. */
  name?: string
  address: string
}

/** `Name <address>` or the address alone; undefined for anything else. */
export const parseMailbox = (text: string): Mailbox | undefined => {
  const [, quoted, plain, bracketed, bare] = /^(?:"([^"\\]*)" *|([^"<>]*))<([^<>]+)>$|^([^<>]+)$/.exec(text.trim()) ?? []
  const address = (bracketed ?? bare ?? '').trim()
  const name = (quoted ?? plain ?? '').trim()
  if (!isMailAddress(address) || name.length > 200 || invisible.test(name.replaceAll(' ', ''))) return undefined
  return name ? { name, address } : { address }
}

/** The domain as DNS knows it. */
export const domainOf = (address: string): string => domainToASCII(address.slice(address.lastIndexOf('@') + 1)) || 'localhost'

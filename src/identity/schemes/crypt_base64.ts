/** The base64 of crypt(3): another alphabet, the low bits first. */
const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** `length` characters for the lowest bits of a number. */
export const renderCrypt64 = (value: number, length: number): string => {
  let text = ''
  for (let rest = value, i = 0; i < length; i++, rest >>>= 6) text += alphabet[rest & 63]
  return text
}

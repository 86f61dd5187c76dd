/** Bytes of base64 with or without padding; undefined when it is not. `ab64` (passlib) has `.` for `+`. */
export const parseBase64 = (text: string): Buffer | undefined => {
  if (!/^[A-Za-z0-9+/.]*={0,2}$/.test(text)) return undefined
  return Buffer.from(text.replaceAll('.', '+'), 'base64')
}

/** As PHC strings have it: without padding. */
export const renderBase64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

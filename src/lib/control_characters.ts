// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f]/

/** NUL and its like: no name has one, browsers drop some of them out of addresses, and PostgreSQL keeps no NUL. */
export const hasControlCharacters = (text: string): boolean => control.test(text)

export const withoutControlCharacters = (text: string): string => (control.test(text) ? text.replace(new RegExp(control, 'g'), '') : text)

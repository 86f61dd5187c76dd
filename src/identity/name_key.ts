/**
 * Keys by which names are compared. Two names that look the same to a person are the same name: compatibility forms (full width, ligatures)
 * and case do not count. JavaScript folds alike everywhere; what lower() of PostgreSQL does depends on the locale of its cluster.
 */

/** Key of a username or a group's name. */
export const nameKey = (name: string): string => name.normalize('NFKC').toLowerCase().normalize('NFKC')

/** Key of an e-mail address. Mailboxes differing only in case exist in no system we would meet, and people type them as they like. */
export const emailKey = (email: string): string => email.normalize('NFC').toLowerCase().normalize('NFC')

/** On every application's host this path belongs to its outpost. */
export const outpostPath = '/outpost.signet'

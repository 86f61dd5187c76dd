/** How well someone proved who they are, the weaker first. Each means those before it. */
export const acrValues = ['1fa', '2fa', 'phr'] as const

const level = (acr: unknown): number => (acrValues as readonly unknown[]).indexOf(acr)

/** Whether a sign-in that reached `acr` is one of those wanted, or more than one of them. Values that nobody here can reach are met by none. */
export const meetsAcr = (acr: string | undefined, wanted: readonly unknown[]): boolean =>
  wanted.some((value) => level(value) >= 0 && level(value) <= level(acr))

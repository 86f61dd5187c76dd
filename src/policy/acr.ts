/** How well someone proved who they are, the weaker first. Each means those before it. */
export const acrValues = ['1fa', '2fa', 'phr'] as const
export type Acr = (typeof acrValues)[number]

const level = (acr: unknown): number => (acrValues as readonly unknown[]).indexOf(acr)

/** Whether a sign-in that reached `acr` is one of those wanted, or more than one of them. Values that nobody here can reach are met by none. */
export const meetsAcr = (acr: string | undefined, wanted: readonly unknown[]): boolean =>
  wanted.some((value) => level(value) >= 0 && level(value) <= level(acr))

/** Whether one of the types of second factors that are required was proven. Of none that are, nobody has proven one. */
export const hasProven = (required: readonly string[], factors: readonly string[] = []): boolean =>
  factors.some((type) => required.includes(type))

/** Those that some sign-in of ours reaches. */
export const reachableAcrs = (wanted: readonly unknown[]): Acr[] => acrValues.filter((acr) => wanted.includes(acr))

/** What is asked for beyond what any sign-in has. A policy demands it; a client wishes for it. */
export const wantedAcrs = (demanded: Acr, wished: readonly unknown[]): { values: Acr[]; isDemanded: boolean } =>
  demanded === '1fa'
    ? { values: reachableAcrs(wished), isDemanded: false }
    : { values: acrValues.slice(acrValues.indexOf(demanded)), isDemanded: true }

/** What a session is worth whose person has proven this (RFC 8176). A passkey that verified the person itself is more than one factor at once. */
export const acrOf = (amr: readonly string[]): Acr => {
  const hasKey = amr.includes('hwk') || amr.includes('swk')
  if (hasKey && amr.includes('user')) return 'phr'
  const factors = Number(amr.includes('pwd')) + Number(amr.includes('otp')) + Number(hasKey)
  return factors > 1 ? '2fa' : '1fa'
}

/** The same methods with `mfa`, where there was more than one. */
export const withMfa = (amr: readonly string[]): string[] => [...new Set([...amr, ...(acrOf(amr) === '1fa' ? [] : ['mfa'])])]

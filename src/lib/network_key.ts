/** What counts as one network: an IPv4 address, or the /64 that an IPv6 customer has to themselves. */
export const keyOfNetwork = (address: string): string => (address.includes(':') ? ipv6Network(address) : address)

const ipv6Network = (address: string) => {
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const groups = head.split(':').filter(Boolean)
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length
  const whole = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...(tail ?? '').split(':').filter(Boolean)]
  return whole
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')
}

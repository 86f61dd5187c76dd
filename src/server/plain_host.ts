/** As the addresses of applications say hosts. */
export const plainHost = (host: string): string => host.replace(/\.(?=:\d+$|$)/, '').replace(/:(?:80|443)$/, '')

/** What we answer for. `up`: our figure over the limit's, more is better. `down`: less is better. */
export interface Figure {
  floor: number
  aim: number
  direction: 'up' | 'down'
  /** What the two numbers are. */
  unit: string
}

const ofLimit = (floor: number, aim: number): Figure => ({ floor, aim, direction: 'up', unit: 'of the limit' })

export const figures: Record<string, Figure> = {
  client_credentials: ofLimit(0.35, 0.6),
  authorization_code: ofLimit(0.25, 0.5),
  refresh_token: ofLimit(0.35, 0.6),
  introspection: ofLimit(0.35, 0.7),
  userinfo: ofLimit(0.35, 0.7),
  forward_auth: ofLimit(0.35, 0.8),
  proxied: ofLimit(0.35, 0.8),
  password_sign_in: { floor: 0.8, aim: 0.95, direction: 'up', unit: 'of Argon2id alone' },
  start: { floor: 20, aim: 8, direction: 'down', unit: 'times an empty program' },
  memory: { floor: 3, aim: 2, direction: 'down', unit: 'times an empty program' },
  forward_auth_memory: { floor: 1.25, aim: 1.05, direction: 'down', unit: 'times that after 200,000 checks' },
  users: { floor: 2, aim: 1.3, direction: 'down', unit: 'times ten thousand users' },
  sign_in_page: { floor: 30_000, aim: 12_000, direction: 'down', unit: 'bytes' },
}

/** Undefined where nothing is promised. */
export const holds = (name: string, value: number): boolean | undefined => {
  const figure = figures[name]
  if (!figure) return undefined
  return figure.direction === 'up' ? value >= figure.floor : value <= figure.floor
}

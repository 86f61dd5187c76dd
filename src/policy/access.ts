/**
 * What may a caller do: the one place that decides it, and it is pure.
 *
 * A `Rule` allows its verbs on its kinds in its namespaces. A list of rules allows what any of them allows. A caller's `Grants`
 * are several such lists, all of which must allow: the rules of the Roles that bind the person, and, when they come with an API
 * token, the scope of that token too. So a token never widens anything, and nothing granted means nothing allowed.
 */
import { kinds } from '#/kinds/index.ts'
import type { verbs } from '#/kinds/role.ts'

export type Verb = (typeof verbs)[number]

/** What rights are given on beside the kinds. They belong to no namespace, so only a rule for all namespaces (`*`) reaches them. */
export const things = [
  'sessions',
  'credentials',
  'consents',
  'events',
  'tokens',
  'tasks',
  'schedules',
  'invitations',
  'flow-attempts',
  'media',
] as const

export interface Rule {
  /** Kind (`AuthClient`), plural (`authclients`), one of `things`, or `*`. */
  readonly kinds: readonly string[]
  readonly namespaces: readonly string[]
  readonly verbs: readonly string[]
}

export type Grants = readonly (readonly Rule[])[]

export interface Right {
  readonly verb: Verb
  readonly kind: string
  /** Absent: of all namespaces at once. */
  readonly namespace?: string | undefined
}

export const everything: readonly Rule[] = [{ kinds: ['*'], namespaces: ['*'], verbs: ['*'] }]

const plurals = new Map<string, string>()
for (const { kind, plural } of Object.values(kinds)) {
  plurals.set(kind.toLowerCase(), plural)
  plurals.set(plural, plural)
}
for (const thing of things) plurals.set(thing, thing)

/** The one spelling under which a kind or thing is compared; undefined when there is none of that name. */
export const canonicalKind = (name: string): string | undefined => (name === '*' ? '*' : plurals.get(name.toLowerCase()))

export const mayI = (grants: Grants, right: Right): boolean =>
  grants.length > 0 && grants.every((rules) => rules.some((rule) => allows(rule, right)))

/** Whether the caller may do it in some namespace: then they may know that something is not there. */
export const mayISomewhere = (grants: Grants, { verb, kind }: Omit<Right, 'namespace'>): boolean => {
  const namespaces = new Set(grants.flat().flatMap((rule) => rule.namespaces))
  return [...namespaces].some((namespace) => mayI(grants, { verb, kind, namespace }))
}

/** The first thing that `rules` would give away and `grants` do not hold; undefined when everything in them is held. */
export const findExcess = (grants: Grants, rules: readonly Rule[]): Right | undefined => {
  for (const rule of rules)
    for (const kind of rule.kinds)
      for (const namespace of rule.namespaces)
        for (const verb of rule.verbs) {
          const right = { kind, namespace, verb: verb as Verb }
          if (!mayI(grants, right)) return right
        }
  return undefined
}

export interface Subject {
  username: string
  /** Names of all groups the person is in, by themselves or through others. */
  groups: readonly string[]
}

export interface RoleSpec {
  readonly rules: readonly Rule[]
  readonly subjects: { readonly users?: readonly string[] | undefined; readonly groups?: readonly string[] | undefined }
}

/** As names of users and groups are compared everywhere (src/identity/name_key.ts): what looks the same is the same. */
const nameKey = (name: string) => name.normalize('NFKC').toLowerCase().normalize('NFKC')

/** The rules of every Role that binds this person or a group of theirs. */
export const rulesOf = (roles: Iterable<RoleSpec>, { username, groups }: Subject): Rule[] => {
  const name = nameKey(username)
  const mine = new Set(groups.map(nameKey))
  const rules: Rule[] = []
  for (const { rules: given, subjects } of roles) {
    const isBound = subjects.users?.some((user) => nameKey(user) === name) || subjects.groups?.some((group) => mine.has(nameKey(group)))
    if (isBound) rules.push(...given)
  }
  return rules
}

/** A `*` that is asked for is allowed only by a `*`: what all kinds, namespaces or verbs together hold may grow tomorrow. */
const allows = (rule: Rule, { verb, kind, namespace = '*' }: Right): boolean =>
  (rule.verbs.includes('*') || rule.verbs.includes(verb)) &&
  (rule.namespaces.includes('*') || rule.namespaces.includes(namespace)) &&
  hasKind(rule.kinds, kind)

const hasKind = (given: readonly string[], wanted: string): boolean => {
  if (given.includes('*')) return true
  const canonical = canonicalKind(wanted)
  return canonical !== undefined && canonical !== '*' && given.some((kind) => canonicalKind(kind) === canonical)
}

/** Claims of a person: the standard ones, and those that ClaimMappers make. */
import type { Client } from 'oidc-provider'
import { effectiveGroups } from '#/identity/groups.ts'
import { isForClient } from '#/kinds/claim_mapper.ts'
import { claimVariables } from '#/kinds/expression_variables.ts'
import { compileExpression, type Expression } from '#/lib/expression.ts'
import type { Log } from '#/lib/log.ts'
import type { Db } from '#/lib/sql.ts'
import type { Holder } from '#/model/grants.ts'
import type { ResolvedAuthServer } from '#/resources/snapshot.ts'
import type { ClientFacts } from './clients.ts'

/** Claims by the scope that asks for them (OpenID Connect Core section 5.4). */
export const claimsOfScope: Record<string, readonly string[]> = {
  profile: [
    'name',
    'family_name',
    'given_name',
    'middle_name',
    'nickname',
    'preferred_username',
    'profile',
    'picture',
    'website',
    'gender',
    'birthdate',
    'zoneinfo',
    'locale',
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
  groups: ['groups'],
}

/** Always in the ID token, whatever the scope. */
export const claimsOfSignIn = ['acr', 'amr', 'auth_time'] as const

const text = (value: unknown): string | undefined => {
  const first = Array.isArray(value) ? value[0] : value
  return typeof first === 'string' && first !== '' ? first : undefined
}

type Reader = (person: Holder) => unknown

const attribute =
  (name: string): Reader =>
  ({ attributes }) =>
    text(attributes[name])

/** Where each standard claim comes from: columns of the person, else the attribute of the claim's own name. */
const standard: Record<string, Reader> = {
  ...Object.fromEntries(
    Object.values(claimsOfScope)
      .flat()
      .filter((name) => name !== 'groups')
      .map((name) => [name, attribute(name)]),
  ),
  name: (person) => person.name ?? text(person.attributes.name) ?? undefined,
  preferred_username: (person) => person.username,
  locale: (person) => person.locale ?? undefined,
  updated_at: (person) => Math.floor(person.updated_at.getTime() / 1000),
  email: (person) => person.email ?? undefined,
  email_verified: (person) => (person.email === null ? undefined : person.email_verified),
  phone_number_verified: ({ attributes }) =>
    text(attributes.phone_number) === undefined
      ? undefined
      : attributes.phone_number_verified === true || text(attributes.phone_number_verified) === 'true',
  address: ({ attributes }) => {
    const { address } = attributes
    if (address && typeof address === 'object' && !Array.isArray(address)) return address
    const formatted = text(address)
    return formatted === undefined ? undefined : { formatted }
  },
}

/** `groups` is asked of the directory, and only when it is wanted. */
const readersOfScope = new Map(
  Object.entries(claimsOfScope).map(([scope, names]) => [
    scope,
    names.flatMap((name): [string, Reader][] => (name === 'groups' || !standard[name] ? [] : [[name, standard[name]]])),
  ]),
)

export type Use = 'id_token' | 'userinfo' | 'access_token'

interface Mapper {
  name: string
  appliesTo: (client: ClientFacts, scopes: readonly string[]) => boolean
  claims: { name: string; in: readonly Use[]; value: Expression }[]
}

export interface ClaimRequest {
  person: Holder | undefined
  client: Client
  facts: ClientFacts
  use: Use
  scopes: readonly string[]
  /** Names the request asks for by themselves (OpenID Connect Core section 5.5). */
  requested: readonly string[]
}

export const openClaims = ({ db, log }: { db: Db; log: Log }, { claimMappers }: Pick<ResolvedAuthServer, 'claimMappers'>) => {
  const mappers = claimMappers.map(
    ({ metadata, spec }): Mapper => ({
      name: `${metadata.namespace}/${metadata.name}`,
      appliesTo: ({ labels }, scopes) =>
        isForClient(spec, labels) && (spec.scopes === undefined || spec.scopes.some((scope) => scopes.includes(scope))),
      claims: spec.claims.map(({ name, in: uses, value }) => ({ name, in: uses, value: compileExpression(value, claimVariables) })),
    }),
  )

  const mapped = async (request: ClaimRequest, into: Record<string, unknown>): Promise<string[]> => {
    const names: string[] = []
    let variables: Record<string, unknown> | undefined
    for (const mapper of mappers) {
      if (!mapper.appliesTo(request.facts, request.scopes)) continue
      for (const claim of mapper.claims) {
        if (!claim.in.includes(request.use)) continue
        variables ??= await variablesOf(db, request)
        try {
          const value = claim.value.evaluate(variables)
          if (value === null || value === undefined) continue
          into[claim.name] = value
          names.push(claim.name)
        } catch (error) {
          log.warn(
            { event: 'configuration.error', mapper: mapper.name, claim: claim.name, error: (error as Error).message },
            'a claim could not be made',
          )
        }
      }
    }
    return names
  }

  return {
    /** Names that mappers make, for the library to let them through. */
    mappedNames: [...new Set(mappers.flatMap(({ claims }) => claims.map(({ name }) => name)))],
    hasMappers: mappers.length > 0,
    /** What a person's ID token or userinfo answer may carry. The subject is the caller's to add. */
    of: async (request: ClaimRequest & { person: Holder }): Promise<Record<string, unknown>> => {
      const claims: Record<string, unknown> = {}
      const { person, scopes, requested } = request
      for (const scope of scopes) {
        const readers = readersOfScope.get(scope)
        if (readers)
          for (const [name, read] of readers) {
            const value = read(person)
            if (value !== undefined) claims[name] = value
          }
      }
      for (const name of requested) {
        const value = Object.hasOwn(standard, name) ? standard[name]?.(person) : undefined
        if (value !== undefined) claims[name] = value
      }
      if (scopes.includes('groups') || requested.includes('groups')) claims.groups = await effectiveGroups(db, person.user_id)
      if (mappers.length) await mapped(request, claims)
      return claims
    },
    /** What mappers add to an access token; undefined when nothing. */
    extraOf: async (request: ClaimRequest): Promise<Record<string, unknown> | undefined> => {
      if (!mappers.length) return undefined
      const claims: Record<string, unknown> = {}
      return (await mapped(request, claims)).length ? claims : undefined
    },
  }
}

export type Claims = ReturnType<typeof openClaims>

/** What expressions see: nothing of it is secret. */
const variablesOf = async (db: Db, { person, client, facts, scopes }: ClaimRequest): Promise<Record<string, unknown>> => ({
  user: person
    ? {
        id: person.user_id,
        username: person.username,
        email: person.email,
        email_verified: person.email_verified,
        emailVerified: person.email_verified,
        name: person.name,
        locale: person.locale,
        active: true,
        groups: await effectiveGroups(db, person.user_id),
        attributes: person.attributes,
        labels: person.labels,
      }
    : {},
  client: { clientId: client.clientId, name: client.clientName ?? client.clientId, labels: facts.labels },
  scopes: [...scopes],
})

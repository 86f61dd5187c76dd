/** The plans Signet answers for: their names in the suite, the variants that make them run, and whose configuration they take. */
export interface Plan {
  plan: string
  variant: Record<string, string>
  configuration: 'oidc' | 'implicit' | 'hybrid' | 'backchannel' | 'dynamic' | 'fapi2' | 'fapi2_message_signing'
}

const oidc = (name: string, configuration: Plan['configuration'] = 'oidc'): Plan => ({
  plan: `oidcc-${name}-certification-test-plan`,
  variant: { server_metadata: 'discovery', client_registration: 'static_client' },
  configuration,
})
const logout = (name: string): Plan => ({
  plan: `oidcc-${name}-certification-test-plan`,
  variant: { client_registration: 'static_client', response_type: 'code' },
  configuration: 'oidc',
})
const fapi2 = {
  client_auth_type: 'private_key_jwt',
  sender_constrain: 'dpop',
  fapi_profile: 'plain_fapi',
  openid: 'openid_connect',
}

export const plans = {
  config: { plan: 'oidcc-config-certification-test-plan', variant: {}, configuration: 'oidc' },
  basic: oidc('basic'),
  implicit: oidc('implicit', 'implicit'),
  hybrid: oidc('hybrid', 'hybrid'),
  formpost_basic: oidc('formpost-basic'),
  formpost_implicit: oidc('formpost-implicit', 'implicit'),
  formpost_hybrid: oidc('formpost-hybrid', 'hybrid'),
  dynamic: { plan: 'oidcc-dynamic-certification-test-plan', variant: { response_type: 'code' }, configuration: 'dynamic' },
  rp_initiated_logout: logout('rp-initiated-logout'),
  backchannel_logout: { ...logout('backchannel-rp-initiated-logout'), configuration: 'backchannel' },
  fapi2_security_profile: { plan: 'fapi2-security-profile-final-test-plan', variant: fapi2, configuration: 'fapi2' },
  fapi2_message_signing: {
    plan: 'fapi2-message-signing-final-test-plan',
    variant: { ...fapi2, fapi_request_method: 'signed_non_repudiation', fapi_response_mode: 'jarm' },
    configuration: 'fapi2_message_signing',
  },
} satisfies Record<string, Plan>

export type PlanName = keyof typeof plans

export const isPlan = (name: string): name is PlanName => Object.hasOwn(plans, name)

/** Plans of one configuration share the suite's address for its client, so one goes after the other; others run beside them. */
export const lanesOf = (wanted: PlanName[]): PlanName[][] => [...Map.groupBy(wanted, (plan) => plans[plan].configuration).values()]

/**
 * `request_uri` by reference lets others make the server call addresses; neither we nor the library offers it
 * (discovery says `request_uri_parameter_supported: false`). Modules that only try it are left out.
 */
export const notOffered = ['oidcc-request-uri-unsigned', 'oidcc-request-uri-signed-rs256']

// Asks the browser for a passkey and posts what it says in the form of the page. Without scripts the page says that this step needs them.
const button = document.getElementById('passkey')
const form = document.getElementById('stage')
const failed = document.getElementById('passkey_failed')
const toBytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))
const toText = (buffer) => {
  let text = ''
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte)
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
const described = (list) => (list ?? []).map((one) => ({ ...one, id: toBytes(one.id) }))

const optionsOf = () => {
  const options = JSON.parse(button.dataset.options)
  const { user } = options
  return {
    ...options,
    challenge: toBytes(options.challenge),
    ...(user ? { user: { ...user, id: toBytes(user.id) } } : {}),
    ...(options.excludeCredentials ? { excludeCredentials: described(options.excludeCredentials) } : {}),
    ...(options.allowCredentials ? { allowCredentials: described(options.allowCredentials) } : {}),
  }
}

const standardJson = ({ id, rawId, type, authenticatorAttachment, response, getClientExtensionResults }, credential) => {
  const fields = {}
  for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'])
    if (response[name]) fields[name] = toText(response[name])
  if (response.getTransports) fields.transports = response.getTransports()
  return {
    id,
    rawId: toText(rawId),
    type,
    ...(authenticatorAttachment ? { authenticatorAttachment } : {}),
    response: fields,
    clientExtensionResults: getClientExtensionResults.call(credential),
  }
}

const post = (credential) => {
  form.elements.credential.value = JSON.stringify(standardJson(credential, credential))
  form.noValidate = true
  form.submit()
}

let waiting
const ask = async (more = {}) => {
  waiting?.abort()
  waiting = new AbortController()
  const publicKey = optionsOf()
  const wanted = { publicKey, signal: waiting.signal, ...more }
  const credential = await (button.dataset.mode === 'create' ? navigator.credentials.create(wanted) : navigator.credentials.get(wanted))
  if (credential) post(credential)
}

if (button && form && window.PublicKeyCredential) {
  button.hidden = false
  button.addEventListener('click', () => {
    failed.hidden = true
    ask().catch((error) => {
      if (error.name !== 'AbortError') failed.hidden = false
    })
  })
  if (button.dataset.mode === 'autofill')
    Promise.resolve(PublicKeyCredential.isConditionalMediationAvailable?.())
      .then((can) => (can ? ask({ mediation: 'conditional' }) : undefined))
      .catch(() => {})
}

// Finds the number whose SHA-256 behind the salt begins with enough zero bits, and lets the form be sent when it has.
const form = document.getElementById('stage')
const { salt, difficulty } = form.nextElementSibling.dataset
const encoder = new TextEncoder()
const submit = form.querySelector('button[type=submit]')
const zeroBits = (bytes) => {
  let bits = 0
  for (const byte of bytes) {
    if (byte === 0) bits += 8
    else return bits + Math.clz32(byte) - 24
  }
  return bits
}
const find = async () => {
  for (let number = 0; ; number += 64) {
    const tries = Array.from({ length: 64 }, (_, index) => String(number + index))
    const digests = await Promise.all(tries.map((text) => crypto.subtle.digest('SHA-256', encoder.encode(salt + text))))
    const found = digests.findIndex((digest) => zeroBits(new Uint8Array(digest)) >= Number(difficulty))
    if (found >= 0) return tries[found]
  }
}
submit.disabled = true
find().then((solution) => {
  form.elements.solution.value = solution
  submit.disabled = false
  submit.focus()
})

// Takes the person back to the client without a press of the button, as they would be by a redirect.
document.addEventListener('DOMContentLoaded', () => {
  document.getElementById('form_post').submit()
})

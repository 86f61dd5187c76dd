/**
 * What the suite's scripted browser does at our pages: `{match, tasks}` with `[command, …]` lists, in the suite's own configuration language.
 * It finds things only by what the flow contract fixes: the field names, the hidden `stage`, one submit button in the main form and
 * declining as a form of its own after it. A task whose page does not come is passed over, so that one script serves a browser with a
 * session, one without, and one whose consent is remembered.
 */
export interface Place {
  /** Address of the AuthServer under test. */
  issuer: string
  /** Address of the suite, where its client's pages are. */
  suite: string
  username: string
  password: string
}

type Command = (string | number)[]

export interface Task {
  task: string
  match?: string
  optional?: boolean
  commands?: Command[]
}

export interface Visit {
  match: string
  'match-limit'?: number
  tasks: Task[]
}

const flow = '*/flow/*'
const mainButton = "(//form[.//input[@name='stage']])[1]//button[@type='submit']"
const declineButton = "(//form[.//input[@name='stage']])[last()]//button[@type='submit']"
const press = (xpath: string): Command => ['click', 'xpath', xpath, 'optional']

const identify = ({ username }: Place): Task => ({
  task: 'say who it is',
  match: flow,
  optional: true,
  commands: [['text', 'name', 'username', username, 'optional'], press(mainButton)],
})
const provePassword = ({ password }: Place): Task => ({
  task: 'give the password',
  match: flow,
  optional: true,
  commands: [['text', 'name', 'password', password, 'optional'], press(mainButton)],
})
const consent: Task = { task: 'consent', match: flow, optional: true, commands: [press(mainButton)] }
const decline: Task = { task: 'decline', match: flow, optional: true, commands: [press(declineButton)] }
const arrive = ({ suite }: Place): Task => ({
  task: 'arrive at the client',
  match: `${suite}/test/*/callback*`,
  commands: [['wait', 'id', 'submission_complete', 10]],
})

/** Stores the page that the module wants a person to look at: the result is then REVIEW. */
const picture = (name: string, match: string, optional = false): Task => ({
  task: name,
  match,
  optional,
  commands: [['wait', 'xpath', '//*', 10, '.*', 'update-image-placeholder']],
})
const pictureIfAsked = (name: string, match: string): Task => ({
  task: name,
  match,
  optional: true,
  commands: [['wait', 'xpath', '//*', 10, '.*', 'update-image-placeholder-optional']],
})

/** Every address the suite opens at an authorization endpoint of ours begins so; POST as well. */
const authorize = ({ issuer }: Place) => `${issuer}/oauth2/authorize*`

const signingIn = (place: Place): Task[] => [identify(place), provePassword(place), consent, arrive(place)]

export const signIn = (place: Place): Visit[] => [{ match: authorize(place), tasks: [...signingIn(place)] }]

/** The second visit of the browser must be asked to sign in again: the page is kept. */
export const signInTwice = (place: Place): Visit[] => [
  { match: authorize(place), 'match-limit': 1, tasks: [...signingIn(place)] },
  {
    match: authorize(place),
    tasks: [picture('asked to sign in again', flow), ...signingIn(place)],
  },
]

/** A page of ours tells what is wrong; the browser must not be sent anywhere. */
export const errorPage = (place: Place): Visit[] => [
  { match: authorize(place), tasks: [picture('told what is wrong', `${place.issuer}/*`)] },
]

/** Either is right by the module: an error page, or the request is answered as usual. */
export const errorPageOrSignIn = (place: Place): Visit[] => [
  {
    match: authorize(place),
    tasks: [pictureIfAsked('told what is wrong', authorize(place)), ...signingIn(place).map((task) => ({ ...task, optional: true }))],
  },
]

/** Keeps the first page of the sign-in, where the client's logo and links are shown; the module is over then. */
export const lookAtSignIn = (place: Place): Visit[] => [{ match: authorize(place), tasks: [picture('sign-in page', flow)] }]

/** Leaves the sign-in page alone the first time and signs in the second. */
export const signInAtSecondVisit = (place: Place): Visit[] => [
  { match: authorize(place), 'match-limit': 1, tasks: [{ task: 'look only', match: flow, commands: [['wait', 'name', 'username', 10]] }] },
  ...signIn(place),
]

export const declineSignIn = (place: Place): Visit[] => [{ match: authorize(place), tasks: [decline, arrive(place)] }]

/** End of session: confirm where we ask; then the client's post-logout address, or our page that says it is done. */
export const signOut = (place: Place): Visit[] => [
  {
    match: `${place.issuer}/oauth2/end-session*`,
    tasks: [
      {
        task: 'confirm',
        match: `${place.issuer}/*`,
        optional: true,
        commands: [['click', 'xpath', "(//button[@type='submit'])[1]", 'optional']],
      },
      pictureIfAsked('told that it is done', `${place.issuer}/*`),
    ],
  },
]

/** The page that asks is kept and left alone: what is at stake is that the browser is not sent anywhere before a person said so. */
export const askedToSignOut = (place: Place): Visit[] => [
  { match: `${place.issuer}/oauth2/end-session*`, tasks: [picture('asked whether to sign out', `${place.issuer}/*`)] },
]

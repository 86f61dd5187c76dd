/**
 * What stands before our program: packages for the current lock file, and a Node that can run it. Plain JavaScript without
 * dependencies that Node 18 understands, since nothing is installed yet when it runs first.
 *
 * The Node is npm's (node_modules/node). Where that one does not start (libatomic.so.1 is missing on a bare Debian), a Node of
 * the machine that is new enough takes its place, else npm's Node 24, fetched once; node_modules/.bin/node is then made to
 * point there, so that every script of package.json gets a Node that runs.
 */
'use strict'
const { spawn, spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const Module = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const root = path.resolve(__dirname, '..')
const modules = path.join(root, 'node_modules')
const stamp = path.join(modules, '.signet-installed')
const cache = path.join(modules, '.cache', 'signet')
/** There while packages are installed. */
const installing = path.join(root, '.signet-installing')
const npmNode = path.join(modules, 'node', 'bin', 'node')
const linkedNode = path.join(modules, '.bin', 'node')

/** Nothing of ours needs more (Argon2 in node:crypto came with 24.7). */
const oldestNode = [24, 7]
const fetchedNode = '24.21.0'

const say = (line) => process.stderr.write(`${line}\n`)

const newEnough = (version) => {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
}

/** Undefined when the file is missing or does not start here. */
const versionOf = (node) => {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

const runs = (node) => {
  const version = versionOf(node)
  return version !== undefined && newEnough(version)
}

/** npm's cache is in the home folder, which some accounts do not have or may not write to. */
const npmEnvironment = () => {
  const wanted = process.env.npm_config_cache || path.join(os.homedir(), '.npm')
  try {
    // Not with its parents: an account without a home folder gets none.
    if (!fs.existsSync(wanted)) fs.mkdirSync(wanted)
    fs.accessSync(wanted, fs.constants.W_OK)
    return { env: process.env, forget: () => {} }
  } catch {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'signet-npm-'))
    return { env: { ...process.env, npm_config_cache: folder }, forget: () => fs.rmSync(folder, { recursive: true, force: true }) }
  }
}

/** A Node for npm, which replaces node_modules and with it the Node that we may run on: the one npm itself runs on, else ours. */
const lastingNode = () => {
  const replaced = `${fs.realpathSync(root)}${path.sep}node_modules${path.sep}`
  return [process.env.npm_node_execpath, process.execPath].find(
    (node) => node && fs.existsSync(node) && !fs.realpathSync(node).startsWith(replaced),
  )
}

/** Runs npm as the one that started us does; its output is shown when it fails, and a line now and then so that nobody thinks it hangs. */
const npm = (args, cwd) =>
  new Promise((resolve, reject) => {
    const own = process.env.npm_execpath
    const node = lastingNode()
    const [command, first] = node && own && /\.c?js$/.test(own) ? [node, [own]] : [process.platform === 'win32' ? 'npm.cmd' : 'npm', []]
    const { env, forget } = npmEnvironment()
    const child = spawn(command, [...first, ...args, '--no-audit', '--no-fund', '--no-progress', '--loglevel=error'], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const began = Date.now()
    const timer = setInterval(() => say(`  … still at it (${Math.round((Date.now() - began) / 1000)} s)`), 10_000)
    const stop = (signal) => child.kill(signal)
    process.once('SIGINT', stop).once('SIGTERM', stop)
    const over = () => {
      clearInterval(timer)
      forget()
      process.off('SIGINT', stop).off('SIGTERM', stop)
    }
    child.on('error', (error) => {
      over()
      reject(new Error(`npm can't be run (${error.code}). Install the package npm.`))
    })
    child.on('close', (code, signal) => {
      over()
      if (code === 0) resolve()
      else reject(new Error(`npm ${args[0]} failed (${signal || `exit code ${code}`}):\n${output}`))
    })
  })

const lockHash = () =>
  createHash('sha256')
    .update(fs.readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex')

const readText = (file) => {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

const readLock = () => JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages

const isOnDisk = (name) => fs.existsSync(path.join(root, name, 'package.json'))

const isForHere = ({ os: systems, cpu, libc }) =>
  (!systems || systems.includes(process.platform)) && (!cpu || cpu.includes(process.arch)) && (!libc || libc.includes('glibc'))

/**
 * Whether someone's own `npm ci` or `npm install` put in place what the lock file wants: npm keeps a list of what is there. A package for
 * this kind of machine is wanted although it is optional: npm drops one whose install script fails, as it does with a Node that does not start.
 */
const installedByHand = () => {
  const hidden = readText(path.join(modules, '.package-lock.json'))
  if (hidden === undefined) return false
  const present = JSON.parse(hidden).packages
  return Object.entries(readLock()).every(([name, { version, optional, link, hasInstallScript, ...rest }]) => {
    if (name === '' || link) return true
    if (optional && !(hasInstallScript && isForHere(rest))) return !present[name] || present[name].version === version
    return present[name]?.version === version && isOnDisk(name)
  })
}

/**
 * Install scripts run after everything is in place and only once a Node that starts is where they look for it: else that of the database
 * fails on a machine where Node 26 does not run, and npm silently leaves the database out.
 */
const install = async () => {
  await npm(['ci', '--include=dev', '--ignore-scripts'], root)
  const withScripts = Object.entries(readLock())
    .filter(([name, { hasInstallScript }]) => hasInstallScript && isOnDisk(name))
    .map(([name]) => name.replace(/^.*node_modules\//, ''))
  if (withScripts.includes('node')) {
    await npm(['rebuild', 'node'], root)
    await ensureNode()
  }
  const others = withScripts.filter((name) => name !== 'node')
  if (others.length) await npm(['rebuild', ...others], root)
}

const writeStamp = (hash) => {
  try {
    fs.mkdirSync(modules, { recursive: true })
    fs.writeFileSync(stamp, hash)
  } catch (error) {
    // Installed by another account: then each start looks again.
    if (error.code !== 'EACCES' && error.code !== 'EROFS') throw error
  }
}

const touchEveryMs = 2_000
const abandonedAfterMs = 30_000
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Whether the file could be made; false when it is there. */
const makeInstalling = () => {
  try {
    fs.closeSync(fs.openSync(installing, 'wx'))
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

/** Of several that find it at once one takes it away; one that was quick enough to take a new one puts it back. */
const clearAbandoned = () => {
  const age = () => Date.now() - fs.statSync(installing).mtimeMs
  const taken = `${installing}.${process.pid}`
  try {
    if (age() < abandonedAfterMs) return false
    fs.renameSync(installing, taken)
    const isAbandoned = Date.now() - fs.statSync(taken).mtimeMs >= abandonedAfterMs
    if (isAbandoned) fs.rmSync(taken, { force: true })
    else fs.renameSync(taken, installing)
    return isAbandoned
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

/**
 * Two first starts would pull packages from under each other, and one that was killed leaves some that look complete but were never set up.
 * So whoever installs has a file, which is touched for as long: others wait, and one that nobody touches tells that packages are unfinished.
 */
const holdInstallation = async () => {
  let unfinished = false
  let told = false
  try {
    while (!makeInstalling()) {
      if (clearAbandoned()) {
        unfinished = true
        continue
      }
      if (!told) say('Another start installs packages. Waiting for it …')
      told = true
      await pause(500)
    }
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS') throw error
    return { unfinished, release: () => {} }
  }
  const touch = (time) => {
    try {
      fs.utimesSync(installing, time, time)
    } catch {
      // Someone took it away: the worst is that another start installs as well.
    }
  }
  const timer = setInterval(() => touch(new Date()), touchEveryMs)
  return {
    unfinished,
    release: (finished) => {
      clearInterval(timer)
      if (finished) fs.rmSync(installing, { force: true })
      else touch(new Date(0))
    },
  }
}

const ensurePackages = async () => {
  if (readText(stamp) === lockHash()) return
  const { unfinished, release } = await holdInstallation()
  let finished = false
  try {
    await bringPackages(unfinished)
    finished = true
  } finally {
    release(finished)
  }
}

const bringPackages = async (unfinished) => {
  const hash = lockHash()
  // Another start may have done it meanwhile.
  if (readText(stamp) === hash) return
  if (unfinished || !installedByHand()) {
    say(fs.existsSync(modules) ? 'Packages are missing or changed. Installing them …' : 'First start: installing packages (about 400 MB) …')
    const began = Date.now()
    await install()
    say(`Packages installed in ${Math.round((Date.now() - began) / 1000)} s.`)
  }
  writeStamp(hash)
}

/** Programs called node on the PATH, but for those of npm's making. */
const nodesOfTheMachine = () => [
  process.execPath,
  ...(process.env.PATH || '')
    .split(path.delimiter)
    .filter((folder) => folder && !folder.includes('node_modules'))
    .map((folder) => path.join(folder, 'node'))
    .filter((file) => fs.existsSync(file)),
]

const fetchNode = async () => {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const name = `${platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${platform}-${process.arch}`
  const folder = path.join(cache, `node-${fetchedNode}`)
  const file = path.join(folder, 'node_modules', name, 'bin', 'node')
  if (!runs(file)) {
    say(`Fetching Node ${fetchedNode} from npm, once …`)
    fs.mkdirSync(folder, { recursive: true })
    fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n')
    await npm(['install', '--no-save', `--prefix=${folder}`, `${name}@${fetchedNode}`], folder)
  }
  if (!runs(file)) throw new Error(`Node ${fetchedNode} of npm does not start here either. Install Node ${oldestNode.join('.')} or later.`)
  return file
}

const reasonOf = (node) => {
  const { stderr, error } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  const library = /(lib[\w.+-]+\.so[.\d]*)/.exec(stderr || '')
  if (library) return `${library[1]} is missing`
  return error ? error.code : 'it does not start'
}

/** A Node that runs our program; node_modules/.bin/node points to it afterwards. */
const ensureNode = async () => {
  if (runs(linkedNode)) return linkedNode
  if (runs(npmNode)) return npmNode
  say(`npm's Node 26 does not run on this machine (${reasonOf(npmNode)}).`)
  const machine = nodesOfTheMachine().find(runs)
  const node = machine || (await fetchNode())
  say(
    `Using ${machine ? `the machine's Node ${versionOf(node)}` : `Node ${fetchedNode}`} instead. With the missing library installed, Node 26 would be used.`,
  )
  try {
    fs.rmSync(linkedNode, { force: true })
    fs.symlinkSync(path.relative(path.dirname(linkedNode), node), linkedNode)
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EROFS') throw error
  }
  return node
}

/** The same program in another Node: signals passed on, exit code kept. */
const hand = (node, entry, args) => {
  const child = spawn(node, [entry, ...args], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends its Ctrl-C to both of us; the child then hears it from the terminal alone.
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    say(`${node} can't be run (${error.code}).`)
    process.exitCode = 1
  })
  child.on('close', (code, signal) => {
    process.exitCode = signal ? 128 + os.constants.signals[signal] : code
  })
}

/** Runs a file of ours with the arguments of this process: here if this Node will do, and then by its `main` if it exports one. */
exports.launch = async (file) => {
  const entry = path.join(root, file)
  const args = process.argv.slice(2)
  const here = newEnough(process.version)
  let node
  try {
    await ensurePackages()
    if (!here) node = await ensureNode()
  } catch (error) {
    say(error.message)
    process.exit(1)
  }
  process.env.NODE_COMPILE_CACHE = process.env.NODE_COMPILE_CACHE || path.join(cache, 'compiled')
  if (!here) {
    hand(node, entry, args)
    return
  }
  Module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  process.argv[1] = entry
  const { main } = await import(pathToFileURL(entry).href)
  if (main) process.exit(await main(args, process.env))
}

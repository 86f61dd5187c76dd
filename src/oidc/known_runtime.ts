/** `oidc-provider` warns on the console of every runtime that is not yet a long-term release; ours is tested with it. Imported before the library. */
const release = process.release as { lts?: string }
release.lts ??= 'Krypton'

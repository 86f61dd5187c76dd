/** An outpost says so often that it is there, and counts as gone when it was silent for so long. */
export const beatMs = 5_000
export const aliveMs = 16_000

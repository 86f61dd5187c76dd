/** Path below the folder of the project, and its text. */
export type PrintedFile = [path: string, text: string]

/** How the tokens of a text spell a name that is written in lower case: it is the same in quotes, where it keeps its case. */
export function spellings(name: string): readonly string[] {
  return [name.toUpperCase(), `"${name}"`];
}

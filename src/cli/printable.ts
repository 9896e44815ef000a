/** Names come from servers: no escape sequence of theirs reaches the terminal, and no line break. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
}

/** JSON whose numbers stay as they are written: a double holds neither 64-bit integers nor "1.0". */

/** A number's own text. */
export class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type ExactValue =
  | Digits
  | string
  | boolean
  | null
  | readonly ExactValue[]
  | { readonly [name: string]: ExactValue };

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
/** No text of a message begins like this: a NUL is written as an escape there. */
const MARK = "\\u0000number:";

export function parseExactly(text: string): ExactValue {
  const marked = text.replace(STRING_OR_NUMBER, token =>
    token.startsWith('"') ? token : `"${MARK}${token}"`,
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith("\0number:")
      ? new Digits(value.slice("\0number:".length))
      : value,
  ) as ExactValue;
}

/** MySQL's numbers as exact text. */

/** The shortest text that reads back as the same 32-bit float: 0.1, not 0.10000000149011612. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 0x100_0000) return doubleText(value);
  // Six digits always survive a normal float; below its smallest, fewer may do.
  const fewest = Math.abs(value) < 1.2e-38 ? 1 : 6;
  for (let digits = fewest; digits < 9; digits += 1) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(9)));
}

export function doubleText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

interface DecimalGroup {
  readonly bytes: number;
  readonly digits: number;
}

/** How a DECIMAL of some precision and scale is stored: groups of up to nine digits, big-endian. */
export class DecimalFormat {
  readonly size: number;
  readonly #integer: readonly DecimalGroup[];
  readonly #fraction: readonly DecimalGroup[];
  /** What the bit of the sign adds to the first group. */
  readonly #signValue: number;

  constructor(precision: number, scale: number) {
    const integerDigits = precision - scale;
    const group = (digits: number): DecimalGroup => ({
      digits,
      bytes: BYTES_OF_DIGITS[digits] ?? 4,
    });
    const full = (digits: number): DecimalGroup[] =>
      Array.from({ length: Math.floor(digits / 9) }, () => group(9));
    const rest = (digits: number): DecimalGroup[] => (digits % 9 ? [group(digits % 9)] : []);
    this.#integer = [...rest(integerDigits), ...full(integerDigits)];
    this.#fraction = [...full(scale), ...rest(scale)];
    const groups = [...this.#integer, ...this.#fraction];
    this.size = groups.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#signValue = 2 ** (8 * (groups[0]?.bytes ?? 1) - 1);
  }

  /** The sign is the top bit of the first byte, inverted; of a negative number every bit is. */
  text(source: Buffer, start: number): string {
    const isNegative = (source[start] ?? 0) < 0x80;
    const inverted = isNegative ? 0xff : 0;
    let at = start;
    let sign = this.#signValue;
    let isZero = true;
    let text = "";
    for (const { bytes } of this.#integer) {
      const value = groupAt(source, at, bytes, inverted) - sign;
      at += bytes;
      sign = 0;
      if (value !== 0) isZero = false;
      if (text !== "") text += String(value).padStart(9, "0");
      else if (value !== 0) text = String(value);
    }
    if (text === "") text = "0";
    if (this.#fraction.length > 0) text += ".";
    for (const { bytes, digits } of this.#fraction) {
      const value = groupAt(source, at, bytes, inverted) - sign;
      at += bytes;
      sign = 0;
      if (value !== 0) isZero = false;
      text += String(value).padStart(digits, "0");
    }
    return isNegative && !isZero ? `-${text}` : text;
  }
}

/** Up to four bytes, highest first, each of them with the bits of `inverted` the other way round. */
function groupAt(source: Buffer, at: number, bytes: number, inverted: number): number {
  let value = 0;
  for (let i = at; i < at + bytes; i += 1) value = value * 256 + ((source[i] ?? 0) ^ inverted);
  return value;
}

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
    this.size = [...this.#integer, ...this.#fraction].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The sign is the top bit of the first byte, inverted; of a negative number every bit is. */
  text(source: Buffer, start: number): string {
    const negative = source.readUInt8(start) < 0x80;
    let offset = start;
    let digitsSum = 0;
    const next = (bytes: number): number => {
      let value = source.readUIntBE(offset, bytes);
      if (offset === start) value += negative ? 2 ** (8 * bytes - 1) : -(2 ** (8 * bytes - 1));
      if (negative) value = 2 ** (8 * bytes) - 1 - value;
      offset += bytes;
      digitsSum += value;
      return value;
    };
    let text = "";
    for (const { bytes } of this.#integer) {
      const value = next(bytes);
      if (text !== "") text += String(value).padStart(9, "0");
      else if (value !== 0) text = String(value);
    }
    if (text === "") text = "0";
    if (this.#fraction.length > 0) text += ".";
    for (const { bytes, digits } of this.#fraction)
      text += String(next(bytes)).padStart(digits, "0");
    return negative && digitsSum > 0 ? `-${text}` : text;
  }
}

/** Numbers as text, compared without losing a digit. */

const PLAIN = /^(-?)(\d+)(?:\.(\d+))?$/;

export function isNumberText(text: string): boolean {
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text);
}

/** Below, at or above zero, as `one` is less than, equal to or more than `other`. */
export function compareNumbers(one: string, other: string): number {
  const [left, right] = [PLAIN.exec(one), PLAIN.exec(other)];
  if (left === null || right === null) return Math.sign(Number(one) - Number(other));
  const places = Math.max(left[3]?.length ?? 0, right[3]?.length ?? 0);
  const [a, b] = [scaled(left, places), scaled(right, places)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function scaled([, sign = "", whole = "", fraction = ""]: RegExpExecArray, places: number): bigint {
  return BigInt(`${sign}${whole}${fraction.padEnd(places, "0")}`);
}

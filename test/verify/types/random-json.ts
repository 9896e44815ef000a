/** Random JSON documents, as SQL: deep, wide, with every kind of number and with values JSON has not. */
import type { Random } from "../random.ts";
import { hexLiteral, quoted, randomBytes, randomText } from "./random-text.ts";

/** MySQL refuses documents deeper than 100. */
const DEPTH_MAX = 99;
/** Of an object or array with 16-bit offsets. */
const SMALL_BYTES = 65_536;

const NUMBERS: readonly string[] = [
  ...["0", "-1", "32767", "32768", "-32768", "-32769", "65535", "65536", "2147483647"],
  ...["2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296"],
  ...["9007199254740991", "9007199254740993", "-9007199254740993", "9223372036854775807"],
  ...["-9223372036854775808", "9223372036854775808", "18446744073709551615"],
  ...["18446744073709551616", "-9223372036854775809", "0.0", "-0.0", "1.0", "-1.5", "0.1"],
  ...["1e14", "1e15", "1e16", "123456789012345680", "1e-14", "1e-15", "1e-16", "1e308", "5e-324"],
  ...["1.7976931348623157e308", "2.2250738585072014e-308", "4.35", "0.30000000000000004"],
];

interface Leaves {
  /** Values that only MySQL's binary JSON has: they are put in by functions. */
  readonly opaque: boolean;
}

export function jsonValue(random: Random, leaves: Leaves): string {
  if (random.chance(0.04)) return asJson(deep(random), leaves);
  if (random.chance(0.02)) return asJson(large(random), leaves);
  if (leaves.opaque && random.chance(0.35)) return opaqueTree(random, random.int(1, 3));
  return asJson(tree(random, random.int(0, 4)), leaves);
}

/** MariaDB has no type to cast to: JSON is text there. */
function asJson(text: string, { opaque }: Leaves): string {
  return opaque ? `CAST(${quoted(text)} AS JSON)` : quoted(text);
}

function tree(random: Random, depth: number): string {
  if (depth === 0) return leaf(random);
  const count = random.int(0, random.chance(0.1) ? 40 : 5);
  if (random.chance(0.5)) {
    return `[${Array.from({ length: count }, () => tree(random, random.int(0, depth - 1))).join(", ")}]`;
  }
  const members = Array.from(
    { length: count },
    () => `${JSON.stringify(key(random))}: ${tree(random, random.int(0, depth - 1))}`,
  );
  return `{${members.join(", ")}}`;
}

function leaf(random: Random): string {
  const kind = random.int(0, 9);
  if (kind === 0) return "null";
  if (kind === 1) return random.pick(["true", "false"]);
  if (kind <= 4) return JSON.stringify(randomText(random, random.pick([0, 1, 5, 127, 128, 300])));
  if (kind <= 7) return random.pick(NUMBERS);
  if (kind === 8) return String(random.int(-100_000, 100_000));
  return String(randomDouble(random));
}

function key(random: Random): string {
  if (random.chance(0.2)) {
    return random.pick([
      "",
      "__proto__",
      "constructor",
      "1",
      "10",
      "9",
      "a b",
      '"',
      "\\",
      "\u0000",
    ]);
  }
  return randomText(random, random.pick([1, 3, 8, 250]));
}

/** Of any magnitude: random bits make few numbers that people use, random digits few large ones. */
export function randomDouble(random: Random): number {
  const bits = Buffer.alloc(8);
  do {
    bits.writeUInt32LE(random.int(0, 0xffff_ffff), 0);
    bits.writeUInt32LE(random.int(0, 0xffff_ffff), 4);
  } while (!Number.isFinite(bits.readDoubleLE(0)));
  if (random.chance(0.5)) return bits.readDoubleLE(0);
  const digits = random.int(-999_999_999, 999_999_999);
  return digits / 10 ** random.int(0, 18);
}

function deep(random: Random): string {
  const levels = random.int(20, DEPTH_MAX - 1);
  let text = leaf(random);
  for (let i = 0; i < levels; i += 1) {
    text = random.chance(0.5) ? `[${text}]` : `{${JSON.stringify(key(random))}: ${text}}`;
  }
  return text;
}

/** Around the size at which offsets get wider. */
function large(random: Random): string {
  const bytes = SMALL_BYTES + random.int(-200, 200);
  if (random.chance(0.3)) return `[1, ${JSON.stringify("x".repeat(bytes))}, 70000, {"a": -70000}]`;
  if (random.chance(0.5))
    return `[${Array.from({ length: 9_000 }, (_, i) => i * 1_000).join(",")}]`;
  const members = Array.from({ length: 2_500 }, (_, i) => `"key ${i}": ${leaf(random)}`);
  return `{${members.join(", ")}}`;
}

function opaqueTree(random: Random, depth: number): string {
  if (depth === 0) return opaqueLeaf(random);
  const count = random.int(1, 4);
  const parts = Array.from({ length: count }, () => opaqueTree(random, random.int(0, depth - 1)));
  if (random.chance(0.5)) return `JSON_ARRAY(${parts.join(", ")})`;
  return `JSON_OBJECT(${parts.map((part, i) => `${quoted(`${i}${key(random)}`)}, ${part}`).join(", ")})`;
}

function opaqueLeaf(random: Random): string {
  const two = (from: number, to: number): string => String(random.int(from, to)).padStart(2, "0");
  const date = `${random.int(1000, 9999)}-${two(1, 12)}-${two(1, 28)}`;
  const time = `${two(0, 23)}:${two(0, 59)}:${two(0, 59)}.${random.int(0, 999_999)}`;
  const scale = random.int(0, 6);
  switch (random.int(0, 6)) {
    case 0: {
      const decimals = random.int(0, 20);
      const digits = String(random.int(-2_000_000_000, 2_000_000_000));
      return `CAST('${digits}e-${random.int(0, decimals)}' AS DECIMAL(40,${decimals}))`;
    }
    case 1:
      return `CAST('${date}' AS DATE)`;
    case 2:
      return `CAST('${random.pick(["", "-"])}${random.int(0, 8)}${time}' AS TIME(${scale}))`;
    case 3:
      return `CAST('${date} ${time}' AS DATETIME(${scale}))`;
    case 4:
      return hexLiteral(randomBytes(random, random.pick([1, 5, 56, 57, 58, 114, 127, 128, 400])));
    case 5:
      return `b'${random.int(1, 4_095).toString(2)}'`;
    default:
      return asJson(leaf(random), { opaque: true });
  }
}

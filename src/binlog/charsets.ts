/**
 * MySQL's character sets, decoded to text.
 *
 * The utf8 family is copied as it stands and never comes here. Single-byte sets and those of East Asia go
 * by MySQL's own tables. What cannot be decoded exactly is refused, because a wrong character cannot be
 * seen later.
 */
import { COLLATION_IDS } from "./collation-ids.ts";
import { EventFault } from "./event-fault.ts";
import { multiByteDecoding } from "./multi-byte.ts";
import { SWE7_LETTERS, UPPER_HALF } from "./single-byte.ts";

/** Sets that the platform knows too, by its names for them. */
const LABELS: Readonly<Record<string, string>> = {
  ucs2: "utf-16be",
  utf16: "utf-16be",
  utf16le: "utf-16le",
};

const UTF8_CHARSETS: ReadonlySet<string> = new Set(["utf8mb4", "utf8mb3", "utf8", "ascii"]);

/** Collation id → name of its character set, as the server lists them. */
export type Collations = ReadonlyMap<number, string>;

/** Those of all servers that are supported: a file cannot be asked. */
export const KNOWN_COLLATIONS: Collations = new Map(
  Object.entries(COLLATION_IDS).flatMap(([charset, ranges]) =>
    ranges.split(" ").flatMap(range => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => [first + i, charset] as const);
    }),
  ),
);

export type TextDecoding = (bytes: Buffer) => string;

/** True if the bytes of the character set are UTF-8 already. */
export function isUtf8(charset: string): boolean {
  return UTF8_CHARSETS.has(charset);
}

export function textDecoding(charset: string): TextDecoding {
  if (isUtf8(charset)) return bytes => bytes.toString("utf8");
  if (charset === "utf32") return decodeUtf32;
  if (charset === "swe7") return decodeSwe7;
  const upperHalf = UPPER_HALF[charset];
  if (upperHalf !== undefined) return bytes => decodeSingleByte(bytes, upperHalf);
  const multiByte = multiByteDecoding(charset);
  if (multiByte) return multiByte;
  const label = LABELS[charset];
  if (label === undefined) throw new EventFault(`its character set ${charset} is not known`);
  return unicodeDecoding(charset, label);
}

function unicodeDecoding(charset: string, label: string): TextDecoding {
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  return bytes => {
    try {
      return decoder.decode(bytes);
    } catch {
      throw new EventFault(`bytes of it are no characters of ${charset}`);
    }
  };
}

function decodeSingleByte(bytes: Buffer, upperHalf: string): string {
  const text = bytes.toString("latin1");
  return text.replace(/[\u0080-\u00ff]/g, char => upperHalf[char.charCodeAt(0) - 0x80] ?? char);
}

function decodeSwe7(bytes: Buffer): string {
  const text = bytes.toString("latin1");
  return text.replace(/[@-\u00ff]/g, char => (char > "~" ? "?" : (SWE7_LETTERS[char] ?? char)));
}

function decodeUtf32(bytes: Buffer): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4) text += String.fromCodePoint(bytes.readUInt32BE(i));
  return text;
}

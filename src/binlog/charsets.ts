/**
 * MySQL's character sets, decoded to text.
 *
 * The utf8 family is copied as it stands and never comes here. Single-byte sets go by MySQL's own tables.
 * What cannot be decoded exactly is refused, because a wrong character cannot be seen later.
 */
import { EventFault } from "./event-fault.ts";
import { SWE7_LETTERS, UPPER_HALF } from "./single-byte.ts";

/** Sets of more than one byte, by the names that the platform's decoder knows them by. */
const LABELS: Readonly<Record<string, string>> = {
  cp932: "shift_jis",
  gb2312: "gbk",
  gbk: "gbk",
  sjis: "shift_jis",
  ucs2: "utf-16be",
  utf16: "utf-16be",
  utf16le: "utf-16le",
};

/** The platform takes three control characters for each other, as IBM's mainframes do. */
const SWAPPED_CONTROLS = { "\u001c": "\u001a", "\u007f": "\u001c", "\u001a": "\u007f" } as const;

/** Characters that the platform decodes otherwise than MySQL: what it gives, and what MySQL does. */
const DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cp932: SWAPPED_CONTROLS,
  gb2312: { "—": "―", "·": "・" },
  sjis: {
    ...SWAPPED_CONTROLS,
    "＼": "\\",
    "￠": "¢",
    "￡": "£",
    "￢": "¬",
    "∥": "‖",
    "－": "−",
    "～": "〜",
  },
};

const UTF8_CHARSETS: ReadonlySet<string> = new Set(["utf8mb4", "utf8mb3", "utf8", "ascii"]);

/** Collation id → name of its character set, as the server lists them. */
export type Collations = ReadonlyMap<number, string>;

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
  const label = LABELS[charset];
  if (label !== undefined) return multiByteDecoding(charset, label);
  return bytes => asciiOnly(bytes, charset);
}

/**
 * The platform's tables of big5, euckr, gb18030, ujis and eucjpms differ from MySQL's in many characters,
 * and it decodes some of those to others. Text without any of them is the same everywhere.
 */
function asciiOnly(bytes: Buffer, charset: string): string {
  if (bytes.some(byte => byte >= 0x80)) {
    throw new EventFault(
      `its character set ${charset} is supported for ASCII only; convert the column to utf8mb4`,
    );
  }
  return bytes.toString("latin1");
}

function multiByteDecoding(charset: string, label: string): TextDecoding {
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  const differences = DIFFERENCES[charset];
  const pattern = differences && new RegExp(`[${Object.keys(differences).join("")}]`, "g");
  return bytes => {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      throw new EventFault(`bytes of it are no characters of ${charset}`);
    }
    return pattern ? text.replace(pattern, char => differences[char] ?? char) : text;
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

/**
 * MySQL's character sets, decoded to text.
 *
 * The utf8 family is copied as it stands and never comes here. What no decoder of the platform knows
 * exactly is refused, because a wrong character cannot be seen later.
 */
import { EventFault } from "./event-fault.ts";

const LABELS: Readonly<Record<string, string>> = {
  big5: "big5",
  cp1250: "windows-1250",
  cp1251: "windows-1251",
  cp1256: "windows-1256",
  cp1257: "windows-1257",
  cp866: "ibm866",
  cp932: "shift_jis",
  eucjpms: "euc-jp",
  euckr: "euc-kr",
  gb18030: "gb18030",
  gb2312: "gbk",
  gbk: "gbk",
  greek: "iso-8859-7",
  hebrew: "iso-8859-8",
  koi8r: "koi8-r",
  koi8u: "koi8-u",
  latin1: "windows-1252",
  latin2: "iso-8859-2",
  latin7: "iso-8859-13",
  macroman: "macintosh",
  sjis: "shift_jis",
  tis620: "windows-874",
  ucs2: "utf-16be",
  ujis: "euc-jp",
  utf16: "utf-16be",
  utf16le: "utf-16le",
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
  const label = LABELS[charset];
  if (label === undefined) {
    return () => {
      throw new EventFault(
        `its character set ${charset} is not supported; convert the column to utf8mb4`,
      );
    };
  }
  const decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true });
  return bytes => {
    try {
      return decoder.decode(bytes);
    } catch {
      throw new EventFault(`bytes of it are no characters of ${charset}`);
    }
  };
}

function decodeUtf32(bytes: Buffer): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4) text += String.fromCodePoint(bytes.readUInt32BE(i));
  return text;
}

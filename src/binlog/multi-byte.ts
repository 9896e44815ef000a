/**
 * MySQL's East Asian character sets, by its own tables.
 *
 * Those of the platform and of the WHATWG have other characters in many places, and change with the
 * version of Node. Here every sequence of bytes becomes what the server's own CONVERT makes of it.
 *
 *   two bytes    lead 0x80-0xff, trail 0x40-0xff
 *   one byte     0x80-0xff
 *   the rest     three bytes behind 0x8f (ujis, eucjpms), or four bytes (gb18030)
 */
import { brotliDecompressSync } from "node:zlib";
import { EventFault } from "./event-fault.ts";
import { MULTI_BYTE_TABLES } from "./multi-byte-tables.ts";

/** Cells of a set, in the order of the sequences that lead to them. */
export interface MultiByteLayout {
  readonly charset: string;
  readonly rest: "none" | "three" | "four";
}

/** In this order the tables stand in the generated file. */
export const LAYOUTS: readonly MultiByteLayout[] = [
  { charset: "big5", rest: "none" },
  { charset: "cp932", rest: "none" },
  { charset: "sjis", rest: "none" },
  { charset: "euckr", rest: "none" },
  { charset: "gb2312", rest: "none" },
  { charset: "gbk", rest: "none" },
  { charset: "gb18030", rest: "four" },
  { charset: "ujis", rest: "three" },
  { charset: "eucjpms", rest: "three" },
];

/** A cell is a character below U+10000, or one of these, which are none. */
export const NO_SEQUENCE = 0;
/** Two question marks: MySQL's answer to one sequence of ujis. */
export const TWO_UNKNOWN = 0xd800;

const TRAILS = 192;
const ONE_BYTE = 128 * TRAILS;
export const REST = ONE_BYTE + 128;
const THREE_SIDE = 94;
/** Four-byte sequences below those of U+10000 and above: leads 0x81 to 0x84. */
const FOUR_CELLS = 4 * 12_600;
/** The sequence 0x90308130 is U+10000, and from there on each is the next character. */
const FOUR_ASTRAL = (0x90 - 0x81) * 12_600;

export function cellsOf({ rest }: MultiByteLayout): number {
  if (rest === "none") return REST;
  return REST + (rest === "three" ? THREE_SIDE * THREE_SIDE : FOUR_CELLS);
}

const UNKNOWN = 0x3f;
const SHIFT_3 = 0x8f;

let inflated: ReadonlyMap<string, Uint16Array> | undefined;

/** Each cell is written as its distance from the one before: rows of characters mostly count up. */
function tables(): ReadonlyMap<string, Uint16Array> {
  if (inflated) return inflated;
  const bytes = brotliDecompressSync(Buffer.from(MULTI_BYTE_TABLES, "base64"));
  let at = 0;
  let last = 0;
  inflated = new Map(
    LAYOUTS.map(layout => {
      const cells = Uint16Array.from({ length: cellsOf(layout) }, () => {
        last = (last + bytes.readUInt16LE(at)) & 0xffff;
        at += 2;
        return last;
      });
      return [layout.charset, cells];
    }),
  );
  return inflated;
}

/** Undefined for sets that have no table. */
export function multiByteDecoding(charset: string): ((bytes: Buffer) => string) | undefined {
  const layout = LAYOUTS.find(known => known.charset === charset);
  if (!layout) return undefined;
  let cells: Uint16Array | undefined;
  return bytes => {
    if (bytes.every(byte => byte < 0x80)) return bytes.toString("latin1");
    cells ??= tables().get(charset) ?? new Uint16Array();
    return decode(bytes, layout, cells);
  };
}

function decode(bytes: Buffer, { charset, rest }: MultiByteLayout, cells: Uint16Array): string {
  // A sequence of two bytes gives two units at most, one of four gives two.
  const units = Buffer.allocUnsafe(2 * bytes.length);
  let end = 0;
  const put = (unit: number): void => {
    end = units.writeUInt16LE(unit, end);
  };
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at] ?? 0;
    if (lead < 0x80) {
      put(lead);
      at += 1;
      continue;
    }
    const { size, cell } = sequenceAt(bytes, at, { rest, cells });
    if (cell === NO_SEQUENCE) throw new EventFault(`bytes of it are no characters of ${charset}`);
    if (cell === TWO_UNKNOWN) {
      put(UNKNOWN);
      put(UNKNOWN);
    } else if (cell > 0xffff) {
      put(0xd800 + ((cell - 0x10000) >> 10));
      put(0xdc00 + ((cell - 0x10000) & 0x3ff));
    } else {
      put(cell);
    }
    at += size;
  }
  return units.toString("utf16le", 0, end);
}

interface Sequence {
  readonly size: number;
  readonly cell: number;
}

function sequenceAt(
  bytes: Buffer,
  at: number,
  { rest, cells }: Pick<MultiByteLayout, "rest"> & { readonly cells: Uint16Array },
): Sequence {
  const lead = bytes[at] ?? 0;
  const single = cells[ONE_BYTE + lead - 0x80] ?? NO_SEQUENCE;
  if (single !== NO_SEQUENCE) return { size: 1, cell: single };
  const trail = bytes[at + 1] ?? 0;
  if (rest === "three" && lead === SHIFT_3) {
    const index = (trail - 0xa1) * THREE_SIDE + (bytes[at + 2] ?? 0) - 0xa1;
    const isWithin = trail >= 0xa1 && trail < 0xff && (bytes[at + 2] ?? 0) >= 0xa1;
    return { size: 3, cell: isWithin ? (cells[REST + index] ?? NO_SEQUENCE) : NO_SEQUENCE };
  }
  if (rest === "four" && isDigit(trail)) return { size: 4, cell: fourBytes(bytes, at, cells) };
  const cell = trail < 0x40 ? NO_SEQUENCE : cells[(lead - 0x80) * TRAILS + trail - 0x40];
  return { size: 2, cell: cell ?? NO_SEQUENCE };
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function fourBytes(bytes: Buffer, at: number, cells: Uint16Array): number {
  const [first = 0, second = 0, third = 0, fourth = 0] = bytes.subarray(at, at + 4);
  if (first < 0x81 || third < 0x81 || third === 0xff || !isDigit(fourth)) return NO_SEQUENCE;
  const index =
    (first - 0x81) * 12_600 + (second - 0x30) * 1_260 + (third - 0x81) * 10 + fourth - 0x30;
  if (index < FOUR_CELLS) return cells[REST + index] ?? NO_SEQUENCE;
  const character = 0x10000 + index - FOUR_ASTRAL;
  // What lies between and behind is no character, but MySQL lets it be stored.
  return character >= 0x10000 && character <= 0x10ffff ? character : UNKNOWN;
}

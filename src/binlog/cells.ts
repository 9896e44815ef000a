/**
 * Cells of a row event in canonical form (docs/types.md), straight from MySQL's bytes.
 *
 * zongji's own values are not used: it gets negative TIME, YEAR 0000, the empty ENUM, the SRID of a
 * GEOMETRY and some JSON wrong, and one wrong value that nobody sees is worse than a stopped pipeline.
 *
 * A `CellReader` is made once per column and table shape. It copies: the source is a view on a network
 * chunk that is overwritten soon.
 */
import type { PackedRowsWriter } from "../core/rows.ts";
import type { TextDecoding } from "./charsets.ts";
import { EventFault } from "./event-fault.ts";
import { jsonText } from "./json-text.ts";
import { DecimalFormat, doubleText, floatText } from "./numbers.ts";
import { dateText, fractionText, packedDateText, packedTimeText, utcText } from "./temporals.ts";

/** Writes the cell that starts at `offset`, and returns where the next one starts. */
export type CellReader = (source: Buffer, offset: number, writer: PackedRowsWriter) => number;

/** Bytes from `start`; an event that is too short must not be taken for one with shorter values. */
function take(source: Buffer, start: number, size: number): Buffer {
  if (start + size > source.length)
    throw new EventFault("its bytes reach past the end of the event");
  return source.subarray(start, start + size);
}

export function integerCell(size: 1 | 2 | 3 | 4, unsigned: boolean): CellReader {
  return (source, offset, writer) => {
    const value = unsigned ? source.readUIntLE(offset, size) : source.readIntLE(offset, size);
    writer.ascii(String(value));
    return offset + size;
  };
}

const SAFE_HIGH = 0x20_0000; // 2^53 / 2^32: up to here a number is exact.

export function bigintCell(unsigned: boolean): CellReader {
  return (source, offset, writer) => {
    const low = source.readUInt32LE(offset);
    const high = unsigned ? source.readUInt32LE(offset + 4) : source.readInt32LE(offset + 4);
    if (high >= -SAFE_HIGH && high < SAFE_HIGH) writer.ascii(String(high * 2 ** 32 + low));
    else if (unsigned) writer.ascii(String(source.readBigUInt64LE(offset)));
    else writer.ascii(String(source.readBigInt64LE(offset)));
    return offset + 8;
  };
}

export function decimalCell(precision: number, scale: number): CellReader {
  const format = new DecimalFormat(precision, scale);
  return (source, offset, writer) => {
    writer.ascii(format.text(source, offset));
    return offset + format.size;
  };
}

export const floatCell: CellReader = (source, offset, writer) => {
  writer.ascii(floatText(source.readFloatLE(offset)));
  return offset + 4;
};

export const doubleCell: CellReader = (source, offset, writer) => {
  writer.ascii(doubleText(source.readDoubleLE(offset)));
  return offset + 8;
};

/** Stored as it is wanted: the bits of a BIT, big-endian. */
export function rawCell(size: number): CellReader {
  return (source, offset, writer) => {
    writer.bytes(take(source, offset, size));
    return offset + size;
  };
}

export const yearCell: CellReader = (source, offset, writer) => {
  const stored = source.readUInt8(offset);
  writer.ascii(stored === 0 ? "0000" : String(1900 + stored));
  return offset + 1;
};

export const dateCell: CellReader = (source, offset, writer) => {
  const packed = source.readUIntLE(offset, 3);
  writer.ascii(dateText(packed >> 9, (packed >> 5) & 15, packed & 31));
  return offset + 3;
};

function fractionBytes(scale: number): number {
  return Math.ceil(scale / 2);
}

/** Time and fraction are one number with an offset, so that its bytes sort; negated as one number too. */
export function timeCell(scale: number): CellReader {
  const size = 3 + fractionBytes(scale);
  const unit = 2 ** (8 * fractionBytes(scale));
  const zero = 0x80_0000 * unit;
  return (source, offset, writer) => {
    const packed = source.readUIntBE(offset, size) - zero;
    const magnitude = Math.abs(packed);
    const time = packedTimeText(Math.floor(magnitude / unit));
    writer.ascii(`${packed < 0 ? "-" : ""}${time}${fractionText(magnitude % unit, scale)}`);
    return offset + size;
  };
}

function fraction(source: Buffer, offset: number, scale: number): string {
  if (scale === 0) return "";
  return fractionText(source.readUIntBE(offset, fractionBytes(scale)), scale);
}

const DATETIME_ZERO = 0x80_0000_0000;
const TIME_OF_DAY = 0x2_0000; // The date stands above 17 bits of time.

export function datetimeCell(scale: number): CellReader {
  return (source, offset, writer) => {
    const packed = source.readUIntBE(offset, 5) - DATETIME_ZERO;
    const date = packedDateText(Math.floor(packed / TIME_OF_DAY));
    const time = packedTimeText(packed % TIME_OF_DAY);
    writer.ascii(`${date} ${time}${fraction(source, offset + 5, scale)}`);
    return offset + 5 + fractionBytes(scale);
  };
}

export function timestampCell(scale: number): CellReader {
  return (source, offset, writer) => {
    const seconds = source.readUInt32BE(offset);
    // Second 0 of 1970 is not a TIMESTAMP: it stands for the zero date.
    const text = seconds === 0 ? "0000-00-00 00:00:00" : utcText(seconds);
    writer.ascii(text + fraction(source, offset + 4, scale));
    return offset + 4 + fractionBytes(scale);
  };
}

/** Bytes with their length in front, as they stand: text in UTF-8, VARBINARY, BLOB, GEOMETRY, VECTOR. */
export function bytesCell(prefix: number): CellReader {
  return (source, offset, writer) => {
    const start = offset + prefix;
    const length = source.readUIntLE(offset, prefix);
    writer.bytes(take(source, start, length));
    return start + length;
  };
}

/** BINARY(n): the binlog leaves trailing zero bytes out. */
export function binaryCell(prefix: number, size: number): CellReader {
  return (source, offset, writer) => {
    const start = offset + prefix;
    const length = source.readUIntLE(offset, prefix);
    const stored = take(source, start, length);
    writer.bytes(length < size ? Buffer.concat([stored], size) : stored);
    return start + length;
  };
}

export function textCell(prefix: number, decode: TextDecoding): CellReader {
  return (source, offset, writer) => {
    const start = offset + prefix;
    const length = source.readUIntLE(offset, prefix);
    writer.utf8(decode(take(source, start, length)));
    return start + length;
  };
}

export function jsonCell(prefix: number): CellReader {
  return (source, offset, writer) => {
    const start = offset + prefix;
    const length = source.readUIntLE(offset, prefix);
    writer.utf8(jsonText(take(source, start, length)));
    return start + length;
  };
}

/** Index 0 is the empty text that MySQL stores for an invalid value. */
export function enumCell(size: number, values: readonly string[]): CellReader {
  return (source, offset, writer) => {
    const index = source.readUIntLE(offset, size);
    const text = index === 0 ? "" : values[index - 1];
    if (text === undefined) throw new EventFault(`it has no member ${index}`);
    writer.utf8(text);
    return offset + size;
  };
}

export function setCell(size: number, values: readonly string[]): CellReader {
  return (source, offset, writer) => {
    const members: string[] = [];
    for (let bit = 0; bit < size * 8; bit += 1) {
      if ((source.readUInt8(offset + (bit >> 3)) & (1 << (bit & 7))) === 0) continue;
      const text = values[bit];
      if (text === undefined) throw new EventFault(`it has no member ${bit + 1}`);
      members.push(text);
    }
    writer.utf8(members.join(","));
    return offset + size;
  };
}

/**
 * How MySQL stores the values of each column type in a rows event, and their canonical form (docs/types.md).
 *
 * zongji's own values are not used: it gets negative TIME, YEAR 0000, the empty ENUM, the SRID of a
 * GEOMETRY and some JSON wrong, and one wrong value that nobody sees is worse than a stopped pipeline.
 *
 * A form is made once per column and table shape. Its functions are given places that lie within the
 * event; how many bytes a value has was read before.
 */
import type { StoredForm } from "../core/rows.ts";
import type { TextDecoding } from "./charsets.ts";
import { EventFault } from "./event-fault.ts";
import { collectText, writeJsonText } from "./json-text.ts";
import { DecimalFormat, doubleText, floatText } from "./numbers.ts";
import { dateText, fractionText, packedDateText, packedTimeText, utcText } from "./temporals.ts";

type Text = NonNullable<StoredForm["text"]>;

function fixed(size: number, text: Text | undefined): StoredForm {
  return { size, prefix: 0, paddedTo: 0, text };
}

function prefixed(prefix: number, text: Text | undefined, paddedTo = 0): StoredForm {
  return { size: 0, prefix, paddedTo, text };
}

export function integerForm(size: 1 | 2 | 3 | 4, unsigned: boolean): StoredForm {
  return fixed(size, (data, start) =>
    String(unsigned ? data.readUIntLE(start, size) : data.readIntLE(start, size)),
  );
}

const SAFE_HIGH = 0x20_0000; // 2^53 / 2^32: up to here a number is exact.

export function bigintForm(unsigned: boolean): StoredForm {
  return fixed(8, (data, start) => {
    const high = unsigned ? data.readUInt32LE(start + 4) : data.readInt32LE(start + 4);
    if (high >= -SAFE_HIGH && high < SAFE_HIGH) {
      return String(high * 2 ** 32 + data.readUInt32LE(start));
    }
    return String(unsigned ? data.readBigUInt64LE(start) : data.readBigInt64LE(start));
  });
}

export function decimalForm(precision: number, scale: number): StoredForm {
  const format = new DecimalFormat(precision, scale);
  return fixed(format.size, (data, start) => format.text(data, start));
}

export const floatForm = fixed(4, (data, start) => floatText(finite(data.readFloatLE(start))));

export const doubleForm = fixed(8, (data, start) => doubleText(finite(data.readDoubleLE(start))));

/** MySQL stores nothing else. */
function finite(value: number): number {
  if (!Number.isFinite(value)) throw new EventFault("it holds no number");
  return value;
}

/** Stored as it is wanted: the bits of a BIT, big-endian. */
export function bitForm(size: number): StoredForm {
  return fixed(size, undefined);
}

export const yearForm = fixed(1, (data, start) => {
  const stored = data.readUInt8(start);
  return stored === 0 ? "0000" : String(1900 + stored);
});

export const dateForm = fixed(3, (data, start) => {
  const packed = data.readUIntLE(start, 3);
  return dateText(packed >> 9, (packed >> 5) & 15, packed & 31);
});

function fractionBytes(scale: number): number {
  return Math.ceil(scale / 2);
}

/** Time and fraction are one number with an offset, so that its bytes sort; negated as one number too. */
export function timeForm(scale: number): StoredForm {
  const size = 3 + fractionBytes(scale);
  const unit = 2 ** (8 * fractionBytes(scale));
  const zero = 0x80_0000 * unit;
  return fixed(size, (data, start) => {
    const packed = data.readUIntBE(start, size) - zero;
    const magnitude = Math.abs(packed);
    const time = packedTimeText(Math.floor(magnitude / unit));
    return `${packed < 0 ? "-" : ""}${time}${fractionText(magnitude % unit, scale)}`;
  });
}

function fraction(data: Buffer, start: number, scale: number): string {
  if (scale === 0) return "";
  return fractionText(data.readUIntBE(start, fractionBytes(scale)), scale);
}

const DATETIME_ZERO = 0x80_0000_0000;
const TIME_OF_DAY = 0x2_0000; // The date stands above 17 bits of time.

export function datetimeForm(scale: number): StoredForm {
  return fixed(5 + fractionBytes(scale), (data, start) => {
    const packed = data.readUIntBE(start, 5) - DATETIME_ZERO;
    const date = packedDateText(Math.floor(packed / TIME_OF_DAY));
    const time = packedTimeText(packed % TIME_OF_DAY);
    return `${date} ${time}${fraction(data, start + 5, scale)}`;
  });
}

export function timestampForm(scale: number): StoredForm {
  return fixed(4 + fractionBytes(scale), (data, start) => {
    const seconds = data.readUInt32BE(start);
    // Second 0 of 1970 is not a TIMESTAMP: it stands for the zero date.
    const text = seconds === 0 ? "0000-00-00 00:00:00" : utcText(seconds);
    return text + fraction(data, start + 4, scale);
  });
}

/** As they are wanted: text in UTF-8, VARBINARY, BLOB, GEOMETRY, VECTOR. */
export function bytesForm(prefix: number): StoredForm {
  return prefixed(prefix, undefined);
}

/** BINARY(n): the binlog leaves trailing zero bytes out. */
export function binaryForm(prefix: number, size: number): StoredForm {
  return prefixed(prefix, undefined, size);
}

export function textForm(prefix: number, decode: TextDecoding): StoredForm {
  return prefixed(prefix, (data, start, length) => decode(data.subarray(start, start + length)));
}

/** In the place of a document's type: text in UTF-8, which a document and its differences gave. */
export const JSON_AS_TEXT = 0xff;

export function jsonForm(prefix: number): StoredForm {
  const writeJson: NonNullable<StoredForm["writeJson"]> = (out, data, start, length) => {
    if (length > 0 && data[start] === JSON_AS_TEXT) {
      out.utf8(data, start + 1, start + length);
    } else writeJsonText(out, data, start, start + length);
  };
  const text: Text = (data, start, length) =>
    collectText(out => writeJson(out, data, start, length));
  return { ...prefixed(prefix, text), writeJson };
}

/** What `jsonForm` takes for a document with this text. */
export function jsonAsText(text: string): Buffer {
  return Buffer.concat([Buffer.of(JSON_AS_TEXT), Buffer.from(text)]);
}

/** Index 0 is the empty text that MySQL stores for an invalid value. */
export function enumForm(size: number, values: readonly string[]): StoredForm {
  return fixed(size, (data, start) => {
    const index = data.readUIntLE(start, size);
    const text = index === 0 ? "" : values[index - 1];
    if (text === undefined) throw new EventFault(`it has no member ${index}`);
    return text;
  });
}

export function setForm(size: number, values: readonly string[]): StoredForm {
  const text: Text = (data, start) => {
    const members: string[] = [];
    for (let bit = 0; bit < size * 8; bit += 1) {
      if ((data.readUInt8(start + (bit >> 3)) & (1 << (bit & 7))) === 0) continue;
      const member = values[bit];
      if (member === undefined) throw new EventFault(`it has no member ${bit + 1}`);
      members.push(member);
    }
    return members.join(",");
  };
  if (size > 1) return fixed(size, text);
  const known: string[] = [];
  return fixed(size, (data, start, length) => {
    const bits = data[start] ?? 0;
    return (known[bits] ??= text(data, start, length));
  });
}

/** Well-known text, such as `POINT (1 2)`, of what MySQL stores: an SRID in four bytes, then well-known binary. */
import { assert } from "../core/errors.ts";

const SRID_BYTES = 4;
const HEADER_BYTES = 5;

export function wellKnownText(cell: Buffer): string {
  return new Reader(cell).geometry();
}

class Reader {
  readonly #bytes: Buffer;
  #at = SRID_BYTES;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  geometry(): string {
    const kind = this.#header();
    switch (kind) {
      case 1:
        return `POINT (${this.#point()})`;
      case 2:
        return tagged("LINESTRING", this.#points());
      case 3:
        return tagged("POLYGON", this.#rings());
      case 4:
        return tagged(
          "MULTIPOINT",
          this.#list(() => `(${this.#inner(() => this.#point())})`),
        );
      case 5:
        return tagged(
          "MULTILINESTRING",
          this.#list(() => this.#inner(() => this.#points())),
        );
      case 6:
        return tagged(
          "MULTIPOLYGON",
          this.#list(() => this.#inner(() => this.#rings())),
        );
      case 7:
        return tagged(
          "GEOMETRYCOLLECTION",
          this.#list(() => this.geometry()),
        );
      default:
        throw new Error(`a geometry of the unknown kind ${kind}`);
    }
  }

  /** MySQL writes the lowest byte first, always. */
  #header(): number {
    assert(this.#at + HEADER_BYTES <= this.#bytes.length, "a geometry is cut off");
    const kind = this.#bytes.readUInt32LE(this.#at + 1);
    this.#at += HEADER_BYTES;
    return kind;
  }

  #inner(read: () => string): string {
    this.#header();
    return read();
  }

  #rings(): string {
    return this.#list(() => this.#points());
  }

  #points(): string {
    return this.#list(() => this.#point());
  }

  #point(): string {
    const x = this.#bytes.readDoubleLE(this.#at);
    const y = this.#bytes.readDoubleLE(this.#at + 8);
    this.#at += 16;
    return `${x} ${y}`;
  }

  #list(item: () => string): string {
    const count = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    const items: string[] = [];
    for (let i = 0; i < count; i += 1) items.push(item());
    return count === 0 ? "" : `(${items.join(", ")})`;
  }
}

function tagged(name: string, list: string): string {
  return `${name} ${list === "" ? "EMPTY" : list}`;
}

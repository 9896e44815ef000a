/**
 * One row on its own: a copy of its cells in their canonical form, so that nothing of the event it came in
 * is kept, and that what cannot be read is found at once.
 *
 * Changes of the same row, one after the other, become one:
 *
 *   insert, update ─▶ insert with the last after-image
 *   update, update ─▶ update from the first before-image to the last after-image
 *   insert, delete ─▶ delete; whoever saw the insert before a restart must see it
 *   update, delete ─▶ delete with the first before-image
 *   delete, insert ─▶ not merged: both are sent
 */
import {
  ABSENT,
  CellState,
  hasOnlyAfter,
  NULL,
  type Image,
  type Operation,
  type Rows,
  type TableShape,
} from "../core/rows.ts";

/** Of each cell `index` holds two numbers: where it starts in `data`, and its length or a mark. */
interface HeldImage {
  readonly data: Buffer;
  readonly index: Uint32Array;
}

interface HeldRowOptions {
  readonly table: TableShape;
  readonly operation: Operation;
  readonly before: HeldImage | undefined;
  readonly after: HeldImage | undefined;
  readonly touched?: ReadonlySet<number> | undefined;
}

/** What the objects of an image cost beside its bytes, and those of a row; measured. */
const IMAGE_BYTES = 300;
const ROW_BYTES = 200;
const TOUCHED_BYTES = 40;

export class HeldRow implements Rows {
  readonly table: TableShape;
  readonly operation: Operation;
  readonly count = 1;
  readonly stored = undefined;
  readonly touched: ReadonlySet<number> | undefined;
  readonly #before: HeldImage | undefined;
  readonly #after: HeldImage | undefined;

  private constructor({ table, operation, before, after, touched }: HeldRowOptions) {
    this.table = table;
    this.operation = operation;
    this.touched = touched;
    this.#before = before;
    this.#after = after;
  }

  /** @throws if a cell holds no value of its type. */
  static of(rows: Rows, row: number): HeldRow {
    const { table, operation } = rows;
    const before = hasOnlyAfter(operation) ? undefined : copyOf(rows, row, "before");
    const after = operation === "delete" ? undefined : copyOf(rows, row, "after");
    return new HeldRow({ table, operation, before, after });
  }

  /** This change and the next one of the same row as one; undefined if they have to stay two. */
  mergedWith(next: HeldRow): HeldRow | undefined {
    const { table } = this;
    const [first, last] = [this.#after, next.#after];
    switch (`${this.operation} ${next.operation}`) {
      case "insert update":
        return new HeldRow({ ...this.#as("insert"), after: filled(last, first) });
      case "update update": {
        const touched = new Set([...this.#changed(), ...next.#changed()]);
        return new HeldRow({ ...this.#as("update"), after: filled(last, first), touched });
      }
      case "insert delete": {
        const before = filled(next.#before, first);
        return new HeldRow({ table, operation: "delete", before, after: undefined });
      }
      case "update delete":
        return new HeldRow({ ...this.#as("delete"), after: undefined });
      default:
        return undefined;
    }
  }

  #as(operation: Operation): Pick<HeldRowOptions, "table" | "operation" | "before"> {
    return { table: this.table, operation, before: this.#before };
  }

  /** Columns whose value after it is, or was on the way, another one than before it. */
  #changed(): ReadonlySet<number> {
    if (this.touched !== undefined) return this.touched;
    const changed = new Set<number>();
    for (let column = 0; column < this.table.columns.length; column += 1) {
      const after = cellOf(this.#after, column);
      if (after !== undefined && !isSame(after, cellOf(this.#before, column))) changed.add(column);
    }
    return changed;
  }

  get bytes(): number {
    const touched = (this.touched?.size ?? 0) * TOUCHED_BYTES;
    return ROW_BYTES + touched + sizeOf(this.#before) + sizeOf(this.#after);
  }

  // There is one row, whatever number it had in its event.
  state(_row: number, image: Image, column: number): CellState {
    const cell = cellOf(this.#image(image), column);
    if (cell === undefined) return CellState.absent;
    return cell === null ? CellState.null : CellState.present;
  }

  cell(_row: number, image: Image, column: number): Buffer {
    return cellOf(this.#image(image), column) ?? Buffer.alloc(0);
  }

  rowBytes(): Buffer {
    const images = [this.#before, this.#after].filter(image => image !== undefined);
    return Buffer.concat(images.map(({ data }) => data));
  }

  rowSize(): number {
    return this.bytes;
  }

  #image(image: Image): HeldImage | undefined {
    return image === "before" ? this.#before : this.#after;
  }
}

/** Undefined if it is absent. */
type Cell = Buffer | null | undefined;

function cellOf(image: HeldImage | undefined, column: number): Cell {
  const length = image?.index[2 * column + 1] ?? ABSENT;
  if (image === undefined || length === ABSENT) return undefined;
  if (length === NULL) return null;
  const start = image.index[2 * column] ?? 0;
  return image.data.subarray(start, start + length);
}

function isSame(one: Cell, other: Cell): boolean {
  if (one instanceof Buffer && other instanceof Buffer) return one.equals(other);
  return one === other;
}

function copyOf(rows: Rows, row: number, image: Image): HeldImage {
  return imageOf(
    rows.table.columns.map((_, column) => {
      const state = rows.state(row, image, column);
      if (state === CellState.absent) return undefined;
      return state === CellState.null ? null : rows.cell(row, image, column);
    }),
  );
}

/** In memory of its own: a slice of the pool would keep all of the pool. */
function imageOf(cells: readonly Cell[]): HeldImage {
  const bytes = cells.reduce((sum, cell) => sum + (cell?.length ?? 0), 0);
  const index = new Uint32Array(2 * cells.length);
  const data = Buffer.allocUnsafeSlow(bytes);
  let end = 0;
  for (const [column, cell] of cells.entries()) {
    index[2 * column] = end;
    index[2 * column + 1] = cell === undefined ? ABSENT : cell === null ? NULL : cell.length;
    if (cell instanceof Buffer) end += cell.copy(data, end);
  }
  return { data, index };
}

/** With row images that are not whole, a column that the later one lacks is as the earlier one has it. */
function filled(
  later: HeldImage | undefined,
  earlier: HeldImage | undefined,
): HeldImage | undefined {
  if (later === undefined || earlier === undefined) return later;
  const columns = [...Array(later.index.length / 2).keys()];
  const isWhole = columns.every(column => cellOf(later, column) !== undefined);
  if (isWhole) return later;
  return imageOf(
    columns.map(column => {
      const cell = cellOf(later, column);
      return cell === undefined ? cellOf(earlier, column) : cell;
    }),
  );
}

function sizeOf(image: HeldImage | undefined): number {
  return image === undefined ? 0 : IMAGE_BYTES + image.data.length + image.index.byteLength;
}

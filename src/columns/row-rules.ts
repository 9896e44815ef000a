/** What a pipeline shows of rows, and which: asked before any format sees them. */
import type { Change } from "../core/entry.ts";
import type { Rows, TableShape } from "../core/rows.ts";
import type { ColumnRules, ShownTable } from "./column-rules.ts";
import type { RowFilter } from "./row-filter.ts";
import { ShownRows } from "./shown-rows.ts";

export interface RowRulesOptions {
  readonly columns: ColumnRules | undefined;
  readonly filter: RowFilter | undefined;
  /** Called for each row that is not sent. */
  readonly onFiltered: () => void;
}

export class RowRules {
  readonly #options: RowRulesOptions;
  readonly #tables = new WeakMap<TableShape, { readonly shown: ShownTable | undefined }>();

  constructor(options: RowRulesOptions) {
    this.#options = options;
  }

  /** The change as formats may see it: the same one, if nothing of its table is hidden. */
  shown(change: Change): Change {
    const { columns } = this.#options;
    if (columns === undefined) return change;
    const { table } = change.rows;
    let known = this.#tables.get(table);
    if (known === undefined) {
      known = { shown: columns.shown(table) };
      this.#tables.set(table, known);
    }
    const { shown } = known;
    return shown === undefined ? change : { ...change, rows: new ShownRows(change.rows, shown) };
  }

  /** By the row as it is, hidden columns included. */
  wants(rows: Rows, row: number): boolean {
    const { filter, onFiltered } = this.#options;
    if (filter === undefined || filter.wants(rows, row)) return true;
    onFiltered();
    return false;
  }
}

/**
 * Maxwell's JSON, `{database, table, type, ts, xid, commit, data, old}`. docs/formats.md lists what differs.
 *
 * `xid` is a number that is known before a transaction is over, so that none has to be held until its end:
 * that of its GTID. `commit` stands on its last row.
 */
import type { Change, Transaction } from "../core/entry.ts";
import { binlogFileNumber } from "../core/checkpoint.ts";
import { CellState, type Rows, type TableShape } from "../core/rows.ts";
import type { Format } from "./format.ts";
import type { JsonWriter } from "./json-writer.ts";
import { MAXWELL } from "./maxwell-values.ts";
import type { MessageWriter } from "./message-writer.ts";
import { changesOf, RowWriter } from "./row-writer.ts";

/** What is worked out once per table. */
interface MaxwellTable {
  readonly row: RowWriter;
  /** `{"database":"shop","table":"orders","type":"`. */
  readonly head: Buffer;
  /** `{"database":"shop","table":"orders"`; then each column of the key, such as `,"pk.id":`. */
  readonly keyHead: Buffer;
  readonly keyNames: readonly Buffer[];
}

export class MaxwellFormat implements Format {
  readonly name = "maxwell";
  readonly #tables = new WeakMap<TableShape, MaxwellTable>();
  #transaction: Transaction | undefined;
  #xid = "";

  write(change: Change, row: number, out: MessageWriter): void {
    const { rows } = change;
    const table = this.#table(rows.table);
    writeKey(out, table, rows, row);
    this.#value(out.values, table, { change, row });
    out.message("");
  }

  #value(
    json: JsonWriter,
    table: MaxwellTable,
    { change, row }: { readonly change: Change; readonly row: number },
  ): void {
    const { rows, origin, first, count, endsTransaction } = change;
    json.raw(table.head);
    if (rows.operation === "read") json.ascii(`bootstrap-insert","ts":${origin.timestampS}`);
    else {
      json.ascii(`${rows.operation}","ts":${origin.timestampS},"xid":${this.#number(change)}`);
      if (endsTransaction && row === first + count - 1) json.ascii(',"commit":true');
    }
    json.ascii(',"data":');
    table.row.object(json, table.row.present(rows, row, imageOf(rows)));
    if (rows.operation === "update") {
      const { before } = changesOf(rows, row);
      if (before.columns.length > 0) {
        json.ascii(',"old":');
        table.row.object(json, before);
      }
    }
    json.ascii("}");
  }

  #number({ transaction }: Change): string {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#xid = transactionNumber(transaction);
    }
    return this.#xid;
  }

  #table(shape: TableShape): MaxwellTable {
    let table = this.#tables.get(shape);
    if (table === undefined) {
      const { database, name, columns, primaryKey } = shape;
      const head = `{"database":${JSON.stringify(database)},"table":${JSON.stringify(name)}`;
      table = {
        row: new RowWriter(shape, MAXWELL),
        head: Buffer.from(`${head},"type":"`),
        keyHead: Buffer.from(head),
        keyNames: primaryKey.map(column =>
          Buffer.from(`,${JSON.stringify(`pk.${columns[column]?.name ?? ""}`)}:`),
        ),
      };
      this.#tables.set(shape, table);
    }
    return table;
  }
}

/** A table without key has none here; Maxwell draws one at random. */
function writeKey(out: MessageWriter, table: MaxwellTable, rows: Rows, row: number): void {
  const { primaryKey } = rows.table;
  if (primaryKey.length === 0) return;
  out.keys.raw(table.keyHead);
  for (const [i, column] of primaryKey.entries()) {
    out.keys.raw(table.keyNames[i] as Buffer);
    // What an update leaves alone may stand in the image before it only.
    const isThere = rows.state(row, imageOf(rows), column) !== CellState.absent;
    const image = isThere ? imageOf(rows) : "before";
    table.row.value(out.keys, { rows, row, image }, column);
  }
  out.keys.ascii("}");
  out.endKey();
}

function imageOf(rows: Rows): "before" | "after" {
  return rows.operation === "delete" ? "before" : "after";
}

const FILE_FACTOR = 2 ** 32;

/**
 * The digits at the end of the GTID. Without one, the place at which the transaction begins: the number of
 * the binlog file and the offset in it.
 */
function transactionNumber({ id, gtid }: Transaction): string {
  const [digits] = /\d+$/.exec(gtid ?? "") ?? [];
  if (digits !== undefined) return digits;
  const [, file = "", offset = "0"] = /^[^/]*\/(.*)@\d+\/(\d+)$/.exec(id) ?? [];
  return String(binlogFileNumber(file) * FILE_FACTOR + Number(offset));
}

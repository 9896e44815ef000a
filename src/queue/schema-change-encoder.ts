/**
 * Puts messages about statements in front of those about rows.
 *
 * They have one lane, whatever tables they name: RENAME names several, and the order between them counts.
 */
import { withoutLiterals, withoutSecrets } from "../columns/statement-literals.ts";
import type { Parcel } from "../core/entry.ts";
import type { SchemaChange } from "../core/schema-change.ts";
import { schemaChangeValue, type ShownColumn } from "../formats/schema-change.ts";
import type { Message } from "../sinks/sink.ts";
import type { Encoder } from "./encoder.ts";

export interface SchemaChangeEncoderOptions {
  /** Of the rows. */
  readonly rows: Pick<Encoder, "encode">;
  /** Topic, queue or routing key. */
  readonly destination: string;
  readonly shown: ShownColumn;
  /** Columns are hidden, whose values may stand in a statement. */
  readonly hidesLiterals: boolean;
}

export class SchemaChangeEncoder implements Pick<Encoder, "encode"> {
  readonly #options: SchemaChangeEncoderOptions;

  constructor(options: SchemaChangeEncoderOptions) {
    this.#options = options;
  }

  encode(entry: Parcel, messages: Message[]): void {
    for (const change of entry.schemaChanges ?? []) {
      messages.push(this.#messageOf(change, entry.seq, messages.length));
    }
    this.#options.rows.encode(entry, messages);
  }

  #messageOf(change: SchemaChange, seq: number, index: number): Message {
    const { destination, shown, hidesLiterals } = this.#options;
    const { transaction, origin, tables } = change;
    const [first] = tables;
    const table = `${first?.database ?? ""}.${first?.name ?? ""}`;
    const hide = hidesLiterals ? withoutLiterals : withoutSecrets;
    const value = schemaChangeValue(change, { statement: hide(change.statement), shown });
    // One of its own, so that a compacted topic keeps every statement.
    const key = Buffer.from(JSON.stringify({ transaction: transaction.id }));
    return {
      ...{ seq, index, destination, table, key, value },
      id: `${transaction.id}:${table}:ddl`,
      operation: "schema",
      partitionKey: Buffer.from(destination),
      bytes: key.length + value.length,
      transaction: transaction.id,
      position: `${origin.file}:${origin.position}`,
      keyed: true,
    };
  }
}

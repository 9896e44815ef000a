/** A message whose bytes stand in buffers that it shares with its neighbours. */
import type { Transaction, RowsOrigin } from "../core/entry.ts";
import type { Operation } from "../core/rows.ts";
import type { IdSuffix, Slice } from "../formats/message-writer.ts";
import type { Line, Message } from "../sinks/sink.ts";

/** What the messages of one table have in common. */
export interface Route {
  /** `database.table`. */
  readonly id: string;
  readonly destination: string;
  /** A table without key goes, in order, to one partition by the hash of its name. */
  readonly partitionKey: Buffer;
  readonly keyed: boolean;
}

export interface MessageOrigin {
  readonly route: Route;
  readonly operation: Operation;
  readonly transaction: Transaction;
  readonly origin: RowsOrigin;
  /** Number of the row within the transaction and table. */
  readonly number: number;
  readonly idSuffix: IdSuffix;
}

/** Texts and views are made when somebody asks for them: a line of a file needs none. */
export class EncodedMessage implements Message {
  readonly seq: number;
  readonly index: number;
  readonly bytes: number;
  readonly line: Line | undefined;
  readonly #key: Slice | null;
  readonly #from: MessageOrigin;
  #id: string | undefined;
  #keyBytes: Buffer | undefined;

  constructor(
    seq: number,
    index: number,
    parts: { readonly key: Slice | null; readonly value: Slice | null },
    from: MessageOrigin,
  ) {
    const { key, value } = parts;
    this.seq = seq;
    this.index = index;
    this.line = value ?? undefined;
    this.#key = key;
    this.#from = from;
    this.bytes = (key ? key.end - key.start : 0) + (value ? value.end - value.start : 0);
  }

  get id(): string {
    if (this.#id === undefined) {
      const { transaction, route, number, idSuffix } = this.#from;
      this.#id = `${transaction.id}:${route.id}:${number}${idSuffix}`;
    }
    return this.#id;
  }

  get destination(): string {
    return this.#from.route.destination;
  }

  get table(): string {
    return this.#from.route.id;
  }

  get operation(): Operation {
    return this.#from.operation;
  }

  get partitionKey(): Buffer {
    return this.key ?? this.#from.route.partitionKey;
  }

  get key(): Buffer | null {
    return this.#key && (this.#keyBytes ??= bytesOf(this.#key));
  }

  get value(): Buffer | null {
    return this.line === undefined ? null : bytesOf(this.line);
  }

  get transaction(): string {
    return this.#from.transaction.id;
  }

  get position(): string {
    const { file, position } = this.#from.origin;
    return `${file}:${position}`;
  }

  get keyed(): boolean {
    return this.#from.route.keyed;
  }
}

function bytesOf({ data, start, end }: Slice): Buffer {
  return data.subarray(start, end);
}

/** A message whose bytes stand in buffers that it shares with its neighbours. */
import type { Change, Transaction, RowsOrigin } from "../core/entry.ts";
import type { Operation } from "../core/rows.ts";
import type { IdSuffix, MessageWriter } from "../formats/message-writer.ts";
import type { Line, Message } from "../sinks/sink.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const LINE_FEED_BYTES = 1;

/** What the messages of one table have in common. */
export interface Route {
  /** `database.table`. */
  readonly id: string;
  readonly destination: string;
  /** A table without key goes, in order, to one partition by the hash of its name. */
  readonly partitionKey: Buffer;
  readonly keyed: boolean;
  /** Stands behind the number of the row in each id. */
  readonly idMark: string;
}

/** Texts and views are made when somebody asks for them: a line of a file needs none. */
export class EncodedMessage implements Message, Line {
  readonly seq: number;
  readonly index: number;
  readonly operation: Operation;
  /** Where the value stands; nowhere for a tombstone. */
  data: Buffer;
  start: number;
  end: number;
  readonly #hasValue: boolean;
  #keyData: Buffer | undefined;
  #keyStart: number;
  #keyEnd: number;
  readonly #route: Route;
  readonly #transaction: Transaction;
  readonly #origin: RowsOrigin;
  readonly #number: number;
  readonly #idSuffix: IdSuffix;
  #id: string | undefined;
  #keyBytes: Buffer | undefined;

  /** The message that `out` has just been given, about row `number` of its transaction and table. */
  constructor(
    seq: number,
    index: number,
    of: { readonly change: Change; readonly route: Route; readonly number: number },
    written: { readonly out: MessageWriter; readonly idSuffix: IdSuffix },
  ) {
    const { change, route, number } = of;
    const { out, idSuffix } = written;
    const { hasValue } = out;
    this.seq = seq;
    this.index = index;
    this.operation = change.rows.operation;
    this.data = hasValue ? out.valueData : NOTHING;
    this.start = hasValue ? out.valueStart : 0;
    this.end = hasValue ? out.valueEnd : 0;
    this.#hasValue = hasValue;
    this.#keyData = out.hasKey ? out.keyData : undefined;
    this.#keyStart = out.keyStart;
    this.#keyEnd = out.keyEnd;
    this.#route = route;
    this.#transaction = change.transaction;
    this.#origin = change.origin;
    this.#number = number;
    this.#idSuffix = idSuffix;
  }

  get line(): Line | undefined {
    return this.#hasValue ? this : undefined;
  }

  get bytes(): number {
    const key = this.#keyData === undefined ? 0 : this.#keyEnd - this.#keyStart;
    return key + this.end - this.start;
  }

  get id(): string {
    this.#id ??= this.operation === "read" ? this.#idOfRead() : this.#idOfChange();
    return this.#id;
  }

  #idOfChange(): string {
    const { id, idMark } = this.#route;
    return `${this.transaction}:${id}:${this.#number}${idMark}${this.#idSuffix}`;
  }

  /** It is the same whenever the row is read in this snapshot, wherever it then stands among the others. */
  #idOfRead(): string {
    return `${this.transaction}/${this.#route.id}/${this.key?.toString() ?? this.#number}`;
  }

  get destination(): string {
    return this.#route.destination;
  }

  get table(): string {
    return this.#route.id;
  }

  get partitionKey(): Buffer {
    return this.key ?? this.#route.partitionKey;
  }

  get key(): Buffer | null {
    if (this.#keyData === undefined) return null;
    this.#keyBytes ??= this.#keyData.subarray(this.#keyStart, this.#keyEnd);
    return this.#keyBytes;
  }

  get value(): Buffer | null {
    return this.#hasValue ? this.data.subarray(this.start, this.end) : null;
  }

  detach(): void {
    if (this.#keyData !== undefined) {
      this.#keyBytes = Buffer.from(this.#keyData.subarray(this.#keyStart, this.#keyEnd));
      this.#keyData = this.#keyBytes;
      this.#keyStart = 0;
      this.#keyEnd = this.#keyBytes.length;
    }
    if (!this.#hasValue) return;
    this.data = Buffer.from(this.data.subarray(this.start, this.end + LINE_FEED_BYTES));
    this.end -= this.start;
    this.start = 0;
  }

  get transaction(): string {
    return this.#transaction.id;
  }

  get position(): string {
    return `${this.#origin.file}:${this.#origin.position}`;
  }

  get keyed(): boolean {
    return this.#route.keyed;
  }
}

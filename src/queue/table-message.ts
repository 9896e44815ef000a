/** A message about a whole table. */
import type { TableNotice } from "../core/entry.ts";
import type { Message } from "../sinks/sink.ts";
import type { Route } from "./encoded-message.ts";

export class TableMessage implements Message {
  readonly seq: number;
  readonly index: number;
  readonly id: string;
  readonly destination: string;
  readonly table: string;
  readonly operation: Message["operation"];
  readonly partitionKey: Buffer;
  readonly key = null;
  readonly value: Buffer;
  readonly bytes: number;
  readonly transaction: string;
  readonly position: string;
  /** The same on every server, whether the table has a key or not. */
  readonly keyed = true;
  readonly #about: TableNotice;
  readonly #route: Route;

  constructor(
    { seq, index }: Pick<Message, "seq" | "index">,
    about: TableNotice,
    { route, value, partition = 0 }: { route: Route; value: Buffer; partition?: number },
  ) {
    const { operation, transaction, origin } = about;
    this.#about = about;
    this.#route = route;
    this.seq = seq;
    this.index = index;
    this.id =
      operation === "gap"
        ? `${transaction.id}/${route.id}/${partition}`
        : `${transaction.id}:${route.id}:ddl:${partition}`;
    this.destination = route.destination;
    this.table = route.id;
    this.operation = operation;
    this.partitionKey = route.partitionKey;
    this.value = value;
    this.bytes = value.length;
    this.transaction = transaction.id;
    this.position = `${origin.file}:${origin.position}`;
  }

  forPartition(partition: number): Message {
    return new TableMessage(this, this.#about, {
      route: this.#route,
      value: this.value,
      partition,
    });
  }
}

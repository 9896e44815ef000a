/** Turns entries into messages: which rows give one, where it goes, and the id it has for ever. */
import type { Change, Entry } from "../core/entry.ts";
import { unreadable } from "../core/errors.ts";
import { tableId, type Operation, type TableShape } from "../core/rows.ts";
import type { Format } from "../formats/format.ts";
import type { Message } from "../sinks/sink.ts";

/** Topic, queue or file of a table's messages. */
export type Router = (database: string, table: string) => string;

export interface EncoderOptions {
  readonly format: Format;
  readonly router: Router;
  /** Operations that give messages; rows of others are counted and passed over. */
  readonly events: ReadonlySet<Operation>;
}

interface Route {
  readonly id: string;
  readonly destination: string;
  /** A table without key goes, in order, to one partition by the hash of its name. */
  readonly partitionKey: Buffer;
  readonly keyed: boolean;
}

export class Encoder {
  readonly #options: EncoderOptions;
  readonly #routes = new WeakMap<TableShape, Route>();

  constructor(options: EncoderOptions) {
    this.#options = options;
  }

  /**
   * The entry's messages, in the order in which they have to arrive.
   *
   * @throws TidemarkError EVENT_UNREADABLE for a cell that holds no value of its type.
   */
  encode(entry: Entry): Message[] {
    const messages: Message[] = [];
    for (const change of entry.changes) {
      if (!this.#options.events.has(change.rows.operation)) continue;
      try {
        this.#encode(entry, change, messages);
      } catch (thrown) {
        // Cells are decoded no sooner than here.
        throw unreadable(change.origin.file, change.origin.position, thrown);
      }
    }
    return messages;
  }

  #encode(entry: Entry, change: Change, messages: Message[]): void {
    const route = this.#route(change.rows.table);
    const position = `${change.origin.file}:${change.origin.position}`;
    for (let index = 0; index < change.count; index += 1) {
      const id = `${change.transaction.id}:${route.id}:${change.firstNumber + index}`;
      for (const formatted of this.#options.format.messages(change, change.first + index)) {
        messages.push({
          seq: entry.seq,
          id: id + formatted.idSuffix,
          destination: route.destination,
          partitionKey: formatted.key ?? route.partitionKey,
          key: formatted.key,
          value: formatted.value,
          transaction: change.transaction.id,
          position,
          keyed: route.keyed,
        });
      }
    }
  }

  #route(table: TableShape): Route {
    let route = this.#routes.get(table);
    if (route === undefined) {
      const id = tableId(table);
      route = {
        id,
        destination: this.#options.router(table.database, table.name),
        partitionKey: Buffer.from(id),
        keyed: table.primaryKey.length > 0,
      };
      this.#routes.set(table, route);
    }
    return route;
  }
}

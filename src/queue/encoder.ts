/** Turns entries into messages: which rows give one, where it goes, and the id it has for ever. */
import type { RowRules } from "../columns/row-rules.ts";
import type { Change, Parcel, TableNotice } from "../core/entry.ts";
import { unreadable } from "../core/errors.ts";
import type { Operation, TableOperation, TableShape } from "../core/rows.ts";
import type { Format } from "../formats/format.ts";
import { MessageWriter, type IdSuffix } from "../formats/message-writer.ts";
import type { Message } from "../sinks/sink.ts";
import { EncodedMessage, type Route } from "./encoded-message.ts";
import { TableMessage } from "./table-message.ts";

/** Topic, queue or file of a table's messages. */
export type Router = (database: string, table: string) => string;

export interface EncoderOptions {
  readonly format: Format;
  readonly router: Router;
  /** Operations that give messages; rows of others are counted and passed over. */
  readonly events: ReadonlySet<Operation | TableOperation>;
  /** What formats may see of rows, and of which; all, if left out. */
  readonly rules?: RowRules | undefined;
  /** Added to the number of the row in each id; nothing, if left out. */
  readonly idMark?: (() => string) | undefined;
}

export class Encoder {
  readonly #options: EncoderOptions;
  readonly #routes = new WeakMap<TableShape, Route>();
  readonly #out = new MessageWriter((out, idSuffix) => this.#add(out, idSuffix));
  /** The row at hand, and the messages of its entry so far. */
  #messages: Message[] = [];
  #seq = 0;
  #change: Change | undefined;
  #route: Route | undefined;
  #number = 0;
  /** Messages of the rows in front of the one at hand. */
  #written = 0;

  constructor(options: EncoderOptions) {
    this.#options = options;
  }

  /**
   * Adds the entry's messages, in the order in which they have to arrive.
   *
   * @param messages an empty list; when it throws, those of the rows in front of the one at fault.
   * @throws TidemarkError EVENT_UNREADABLE for a cell that holds no value of its type.
   */
  encode(entry: Parcel, messages: Message[]): void {
    this.#messages = messages;
    this.#seq = entry.seq;
    if (entry.notice !== undefined) this.#encodeNotice(entry.notice);
    for (const change of entry.changes) {
      if (!this.#options.events.has(change.rows.operation)) continue;
      try {
        this.#encode(change);
      } catch (thrown) {
        // Cells are decoded no sooner than here. Half a change of a key is none.
        messages.length = this.#written;
        throw unreadable(change.origin.file, change.origin.position, thrown);
      }
    }
  }

  #encodeNotice(notice: TableNotice): void {
    const { format, events } = this.#options;
    const value = events.has(notice.operation) ? format.noticeValue?.(notice) : undefined;
    if (value === undefined) return;
    const { database, table } = notice;
    const route = this.#newRoute({ database, name: table, isKeyed: false });
    const at = { seq: this.#seq, index: this.#messages.length };
    this.#messages.push(new TableMessage(at, notice, { route, value }));
  }

  #encode(change: Change): void {
    const { format, rules } = this.#options;
    this.#change = change;
    this.#written = this.#messages.length;
    const shown = rules === undefined ? change : rules.shown(change);
    this.#route = this.#routeOf(change.rows.table);
    for (let index = 0; index < change.count; index += 1) {
      const row = change.first + index;
      if (rules?.wants(change.rows, row) === false) continue;
      this.#number = change.firstNumber + index;
      this.#out.beginRow();
      format.write(shown, row, this.#out);
      this.#written = this.#messages.length;
    }
  }

  #add(out: MessageWriter, idSuffix: IdSuffix): void {
    const of = {
      change: this.#change as Change,
      route: this.#route as Route,
      number: this.#number,
    };
    const index = this.#messages.length;
    this.#messages.push(new EncodedMessage(this.#seq, index, of, { out, idSuffix }));
  }

  #routeOf(table: TableShape): Route {
    let route = this.#routes.get(table);
    if (route === undefined) {
      const { database, name, primaryKey } = table;
      route = this.#newRoute({ database, name, isKeyed: primaryKey.length > 0 });
      this.#routes.set(table, route);
    }
    return route;
  }

  #newRoute({ database, name, isKeyed }: { database: string; name: string; isKeyed: boolean }) {
    const { router, idMark } = this.#options;
    const id = `${database}.${name}`;
    return {
      id,
      destination: router(database, name),
      partitionKey: Buffer.from(id),
      keyed: isKeyed,
      idMark: idMark?.() ?? "",
    };
  }
}

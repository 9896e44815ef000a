/**
 * The binlog of one dump after the other, pulled.
 *
 *   dump ─▶ translator ─▶ waiting events ──next()──▶ consumer
 *     ▲                        │ too many
 *     └────────pause───────────┘
 *
 * A dump pushes: it hands out events as fast as bytes arrive. So it is paused while more than a bound of
 * events waits, and resumed when the consumer has taken them. The server then waits, for up to two hours.
 */
import type { Clock } from "../core/clock.ts";
import { systemClock } from "../core/clock.ts";
import { securityAttempts, type MysqlConnectionOptions } from "./connection.ts";
import type { Definitions } from "./definitions.ts";
import type { Dump, DumpHandlers, DumpOptions } from "./dump.ts";
import { EventTranslator } from "./event-translator.ts";
import { isWithoutTls } from "./mysql-errors.ts";
import type {
  BinlogEvent,
  BinlogReader,
  DumpStart,
  ReaderTraffic,
  TableFilter,
  XaMode,
} from "./reader.ts";

export interface ReaderOptions {
  readonly connection: MysqlConnectionOptions;
  readonly serverId: number;
  /** Another dump with this uuid ends ours, and ours ends it. */
  readonly replicaUuid: string;
  readonly wants: TableFilter;
  /** For binlogs that do not name columns. */
  readonly definitions?: Definitions | undefined;
  readonly heartbeatMs?: number;
  /** How long connecting may take, and the server's search for the position. */
  readonly startTimeoutMs?: number;
  readonly queueBytesMax?: number;
  readonly queueEventsMax?: number;
  readonly xa?: XaMode;
  /** Rows of this size are decoded; one that is much larger ends the stream. */
  readonly rowBytesMax?: number;
  readonly clock?: Clock;
}

const HEARTBEAT_MS = 5_000;
const START_TIMEOUT_MS = 60_000;
/** Two batches of this may be in memory at once: one with the consumer, one waiting. */
const QUEUE_BYTES_MAX = 1 << 20;
const QUEUE_EVENTS_MAX = 2_000;
export const ROW_BYTES_MAX = 64 * 2 ** 20;
/** Memory of an event without its row data, roughly. */
const EVENT_BYTES = 200;

export type MakeDump = (options: DumpOptions, handlers: DumpHandlers) => Dump;

export class PulledReader implements BinlogReader {
  readonly #makeDump: MakeDump;
  readonly #options: ReaderOptions;
  #stream: PulledDump | undefined;

  constructor(makeDump: MakeDump, options: ReaderOptions) {
    this.#makeDump = makeDump;
    this.#options = options;
  }

  traffic(): ReaderTraffic | undefined {
    return this.#stream?.traffic;
  }

  async *events(
    start: DumpStart,
    signal: AbortSignal,
  ): AsyncGenerator<readonly BinlogEvent[], void, undefined> {
    if (signal.aborted) return;
    const isAborted = (): boolean => signal.aborted; // It changes while we wait.
    for (const secure of securityAttempts(this.#options.connection)) {
      const stream = new PulledDump(this.#makeDump, this.#options, secure);
      this.#stream = stream;
      const stop = (): void => stream.wake();
      signal.addEventListener("abort", stop, { once: true });
      try {
        stream.open(start);
        while (!isAborted()) {
          const batch = await stream.next();
          if (batch.length > 0) yield batch;
        }
        return;
      } catch (thrown) {
        const mayTryPlain = secure && this.#options.connection.tls?.mode === "preferred";
        if (!mayTryPlain || !isWithoutTls((thrown as Error).cause)) throw thrown;
      } finally {
        signal.removeEventListener("abort", stop);
        this.#stream = undefined;
        await stream.close();
      }
    }
  }
}

class PulledDump {
  readonly #dump: Dump;
  readonly #bytesMax: number;
  readonly #eventsMax: number;
  #waiting: BinlogEvent[] = [];
  #waitingBytes = 0;
  #error: unknown;
  #hasEnded = false;
  #isAsked = false;
  #wake: () => void = () => undefined;

  constructor(makeDump: MakeDump, options: ReaderOptions, secure: boolean) {
    this.#bytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX;
    this.#eventsMax = options.queueEventsMax ?? QUEUE_EVENTS_MAX;
    const translator = new EventTranslator({
      wants: options.wants,
      definitions: options.definitions,
      xa: options.xa ?? "stop",
      rowBytesMax: options.rowBytesMax ?? ROW_BYTES_MAX,
      emit: event => this.#add(event),
      parse: event => this.#dump.parse(event),
    });
    this.#dump = makeDump(
      {
        connection: options.connection,
        secure,
        serverId: options.serverId,
        replicaUuid: options.replicaUuid,
        heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
        startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
        clock: options.clock ?? systemClock,
      },
      {
        collations: collations => (translator.collations = collations),
        event: (bytes, start, end) => translator.translateIn(bytes, start, end),
        large: event => translator.translate(event),
        end: error => this.#end(error),
      },
    );
  }

  open(start: DumpStart): void {
    this.#dump.open(start);
  }

  #add(event: BinlogEvent): void {
    this.#waiting.push(event);
    this.#waitingBytes += EVENT_BYTES + (event.kind === "rows" ? event.rows.bytes : 0);
    if (this.#waitingBytes >= this.#bytesMax || this.#waiting.length >= this.#eventsMax) {
      this.#dump.pause();
    }
    this.#wake();
  }

  #end(error: unknown): void {
    this.#error = error;
    this.#hasEnded = true;
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  /** What has arrived, at least one event; nothing only after `wake()`. The error comes after all events. */
  async next(): Promise<readonly BinlogEvent[]> {
    if (this.#waiting.length === 0) this.#dump.resume();
    if (this.#waiting.length === 0 && !this.#hasEnded) {
      this.#isAsked = true;
      await new Promise<void>(resolve => (this.#wake = resolve));
      this.#isAsked = false;
    }
    const batch = this.#waiting;
    if (batch.length === 0 && this.#hasEnded) throw this.#error;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return batch;
  }

  get traffic(): ReaderTraffic {
    const { bytesRead, obstacle } = this.#dump;
    return { bytesRead, obstacle, paused: !this.#isAsked };
  }

  close(): Promise<void> {
    return this.#dump.close();
  }
}

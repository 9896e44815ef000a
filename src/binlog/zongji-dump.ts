/**
 * One dump: zongji connected, started and hooked, until it is closed.
 *
 *   socket ─▶ mysql2 ─▶ zongji's dump command ──execute(packet)──▶ here ─▶ event without checksum
 *                                ▲                                             │ parse()
 *                                └─────────────────────────────────────────────┘
 *
 * zongji connects, negotiates, sends the dump command of either server family and parses events. What it
 * leaves out happens here, and nowhere else is known how it looks inside:
 *
 *   1. The dump session asks for heartbeats and long time-outs, and has the identity of the pipeline.
 *   2. Silence is noticed: no byte for three heartbeats means that the connection is dead.
 *   3. The server's EOF and its errors end the dump; zongji ignores the one and survives the other.
 *   4. Checksums are judged by each file's own format description event, and verified. zongji asks once
 *      for the present setting, and misreads every file that was written under the other.
 *
 * The versions of zongji and mysql2 are pinned; `#requireShape` stops at once if they look different.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import ZongJi from "@vlasky/zongji";
import { assert, TidemarkError } from "../core/errors.ts";
import { Checksums } from "./checksums.ts";
import { driverOptions } from "./connection.ts";
import {
  COLLATIONS_QUERY,
  collationMap,
  sessionStatement,
  SILENT_HEARTBEATS,
  type Dump,
  type DumpHandlers,
  type DumpOptions,
} from "./dump.ts";
import { HEADER_SIZE, sizeOf } from "./event-header.ts";
import { mysqlError } from "./mysql-errors.ts";
import type { DumpStart } from "./reader.ts";
import type { SmallEvent } from "./small-events.ts";
import { Watchdog } from "./watchdog.ts";

/** The parts of mysql2's connection that are used. */
interface RawConnection extends EventEmitter {
  readonly stream: Socket;
  query(sql: string, callback: (error: unknown, rows: unknown) => void): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

interface RawPacket {
  readonly buffer: Buffer;
  offset: number;
  end: number;
  isError(): boolean;
  isEOF(): boolean;
  asError(encoding: string): Error;
}

interface RawCommand {
  execute(packet: RawPacket | undefined, connection: RawConnection): boolean;
}

/** The parts of zongji that are not in its declarations. */
interface RawZongji extends EventEmitter {
  connection: RawConnection | null;
  ctrlConnection: RawConnection | null;
  BinlogClass: new (callback: unknown) => RawCommand;
  _executedGtids: unknown;
  _seedGtidsFromStream: boolean;
  start(options: Record<string, unknown>): void;
  stop(): void;
}

export class ZongjiDump implements Dump {
  readonly #options: DumpOptions;
  readonly #handlers: DumpHandlers;
  readonly #zongji: RawZongji;
  readonly #connections: RawConnection[] = [];
  readonly #checksums = new Checksums();
  #watchdog: Watchdog | undefined;
  /** The packet at hand, and what lets zongji have it. */
  #packet: RawPacket | undefined;
  #execute: () => void = () => undefined;
  #parsed: SmallEvent | undefined;
  #parseError: unknown;
  #parsing = false;
  #ended = false;
  #paused = false;
  #hasStarted = false;

  constructor(options: DumpOptions, handlers: DumpHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const driver = driverOptions(options.connection, options.secure);
    this.#zongji = new ZongJi(driver) as unknown as RawZongji;
    // zongji must not look for checksums: events come to it without.
    Object.defineProperty(this.#zongji, "useChecksum", { get: () => false, set: () => undefined });
  }

  open(start: DumpStart): void {
    const { clock, startTimeoutMs, replicaUuid, serverId } = this.#options;
    assert(/^[0-9a-f-]{36}$/.test(replicaUuid), "the replica uuid is not a uuid");
    const zongji = this.#zongji;
    zongji.on("error", (error: unknown) => this.#onError(error));
    zongji.on("binlog", (event: SmallEvent) => (this.#parsed = event));
    zongji.on("ready", () => this.#onReady());
    zongji.start({ serverId, ...startOptions(start) });
    const { connection, ctrlConnection } = zongji;
    assert(connection !== null && ctrlConnection !== null, "zongji has no connections after start");
    this.#connections.push(connection, ctrlConnection);
    // Now and here, so that they stand in mysql2's queue before the dump command.
    this.#prepareSession(connection);
    this.#watchdog = new Watchdog({
      clock,
      silenceMs: startTimeoutMs,
      bytesRead: () => this.bytesRead,
      isPaused: () => this.#paused,
      onSilence: error => this.#fail(error),
    });
  }

  #prepareSession(connection: RawConnection): void {
    connection.query(sessionStatement(this.#options), error => {
      if (error) this.#fail(mysqlError(error, "preparing the dump"));
    });
    connection.query(COLLATIONS_QUERY, (error, rows) => {
      if (error) this.#fail(mysqlError(error, "reading its collations"));
      else this.#handlers.collations(collationMap(rows));
    });
  }

  /** The dump command is made next: it is replaced by one that asks us first. */
  #onReady(): void {
    const zongji = this.#zongji;
    this.#requireShape(zongji);
    const receive = (packet: RawPacket, parse: () => void): void => this.#receive(packet, parse);
    zongji.BinlogClass = class extends zongji.BinlogClass {
      override execute(packet: RawPacket | undefined, connection: RawConnection): boolean {
        if (!packet) return super.execute(packet, connection);
        receive(packet, () => super.execute(packet, connection));
        return false;
      }
    };
    // The assembler keeps the set; zongji would add to one of its own for each transaction.
    zongji._executedGtids = null;
    zongji._seedGtidsFromStream = false;
    // Kept to end the dump's thread on the server; it idles, and may be lost without harm.
    if (zongji.ctrlConnection) silence(zongji.ctrlConnection);
  }

  #requireShape(zongji: RawZongji): void {
    const fits =
      typeof zongji.BinlogClass === "function" &&
      typeof (zongji.BinlogClass.prototype as RawCommand).execute === "function" &&
      "_executedGtids" in zongji &&
      "_seedGtidsFromStream" in zongji;
    assert(fits, "zongji looks different inside: use the version that package.json names");
  }

  /** Called by mysql2 for each packet of the dump. Must not throw: mysql2 would take it for its own. */
  #receive(packet: RawPacket, execute: () => void): void {
    if (this.#ended) return;
    this.#watchdog?.heard();
    if (!this.#hasStarted && this.#watchdog) {
      this.#hasStarted = true;
      this.#watchdog.silenceMs = SILENT_HEARTBEATS * this.#options.heartbeatMs;
    }
    try {
      if (packet.isError()) throw mysqlError(packet.asError("utf8"), "the binlog");
      if (packet.isEOF()) {
        throw new TidemarkError(
          "SOURCE_UNAVAILABLE",
          "MySQL ended the dump: its thread was killed.",
        );
      }
      const size = packet.end - packet.offset - 1; // Every event has a zero byte in front.
      const whole = packet.buffer.subarray(packet.offset + 1, packet.end);
      const isEvent = size >= HEADER_SIZE && sizeOf(whole) === size;
      assert(isEvent, "mysql2 hands out something that is no event");
      this.#packet = packet;
      this.#execute = execute;
      const rest = this.#handlers.event(whole, 0, this.#checksums.endOf(whole, 0, size));
      while (rest?.next().done === false);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** Has zongji make its object of the event; it emits that before it returns. */
  parse(event: Buffer): SmallEvent {
    const packet = this.#packet;
    assert(packet !== undefined, "zongji is asked about an event that is not there");
    packet.end = packet.offset + 1 + event.length;
    event.writeUInt32LE(event.length, 9);
    this.#parsed = undefined;
    this.#parseError = undefined;
    this.#parsing = true;
    try {
      this.#execute();
    } finally {
      this.#parsing = false;
    }
    return this.#takeParsed();
  }

  #takeParsed(): SmallEvent {
    if (this.#parseError !== undefined) throw this.#parseError as Error;
    assert(this.#parsed !== undefined, "zongji made nothing of an event");
    return this.#parsed;
  }

  /** zongji's one way to tell of any error, be it of the connection or of an event. */
  #onError(error: unknown): void {
    if (this.#parsing) this.#parseError = error;
    else this.#fail(mysqlError(error, "the binlog"));
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers.end(error);
  }

  pause(): void {
    if (this.#paused || this.#ended) return;
    this.#paused = true;
    this.#zongji.connection?.pause();
  }

  resume(): void {
    if (!this.#paused || this.#ended) return;
    this.#paused = false;
    this.#watchdog?.heard();
    this.#zongji.connection?.resume();
  }

  /** It keeps everything in memory. */
  readonly obstacle = undefined;

  get bytesRead(): number {
    return this.#connections[0]?.stream.bytesRead ?? 0;
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#watchdog?.stop();
    for (const connection of this.#connections) silence(connection);
    // zongji asks the server to end the dump if it can, and waits for that no longer than a second.
    const stopped = new Promise<void>(resolve => this.#zongji.once("stopped", () => resolve()));
    this.#zongji.stop();
    await stopped;
    for (const connection of this.#connections) {
      silence(connection);
      connection.destroy();
      connection.stream.destroy();
    }
  }
}

function startOptions(start: DumpStart): Record<string, unknown> {
  if (start.kind === "gtid-set") return { gtidSet: start.gtidSet };
  return { filename: start.file, position: start.position };
}

function silence(connection: RawConnection): void {
  connection.removeAllListeners("error");
  connection.on("error", () => undefined);
}

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
import { crc32 } from "node:zlib";
import ZongJi from "@vlasky/zongji";
import type { Clock } from "../core/clock.ts";
import { assert, TidemarkError } from "../core/errors.ts";
import type { Collations } from "./charsets.ts";
import { driverOptions, type MysqlConnectionOptions } from "./connection.ts";
import { CHECKSUM_SIZE, EventType, sizeOf, typeOf } from "./event-header.ts";
import type { ZongjiEvent } from "./event-translator.ts";
import { mysqlError } from "./mysql-errors.ts";
import type { DumpStart } from "./reader.ts";

export interface DumpOptions {
  readonly connection: MysqlConnectionOptions;
  readonly secure: boolean;
  readonly serverId: number;
  readonly replicaUuid: string;
  readonly heartbeatMs: number;
  readonly startTimeoutMs: number;
  readonly clock: Clock;
}

export interface DumpHandlers {
  collations(collations: Collations): void;
  /** An event from its header on, without checksum. Throwing ends the dump with that error. */
  event(event: Buffer, parse: () => ZongjiEvent): void;
  /** Called once, when the dump cannot go on. */
  end(error: unknown): void;
}

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

/** The server sends at most this long without our reading: a full queue must not cost the connection. */
const NET_TIMEOUT_S = 7_200;
const SILENT_HEARTBEATS = 3;
const GRACE_MS = 200;
const CRC32 = 1;
const NO_CHECKSUM = 0;

export class ZongjiDump {
  readonly #options: DumpOptions;
  readonly #handlers: DumpHandlers;
  readonly #zongji: RawZongji;
  readonly #connections: RawConnection[] = [];
  /** Undefined until the first format description event tells. */
  #checksummed: boolean | undefined;
  #parsed: ZongjiEvent | undefined;
  #parseError: unknown;
  #parsing = false;
  #ended = false;
  #paused = false;
  #heardMs = 0;
  #bytesRead = 0;
  #silenceMs: number;
  #isSuspect = false;
  #hasStarted = false;
  #cancelWatch: () => void = () => undefined;

  constructor(options: DumpOptions, handlers: DumpHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#silenceMs = options.startTimeoutMs;
    const driver = driverOptions(options.connection, options.secure);
    this.#zongji = new ZongJi(driver) as unknown as RawZongji;
    // zongji must not look for checksums: events come to it without.
    Object.defineProperty(this.#zongji, "useChecksum", { get: () => false, set: () => undefined });
  }

  open(start: DumpStart): void {
    const zongji = this.#zongji;
    zongji.on("error", (error: unknown) => this.#onError(error));
    zongji.on("binlog", (event: ZongjiEvent) => (this.#parsed = event));
    zongji.on("ready", () => this.#onReady());
    zongji.start({ serverId: this.#options.serverId, ...startOptions(start) });
    const { connection, ctrlConnection } = zongji;
    assert(connection !== null && ctrlConnection !== null, "zongji has no connections after start");
    this.#connections.push(connection, ctrlConnection);
    // Now and here, so that they stand in mysql2's queue before the dump command.
    this.#prepareSession(connection);
    this.#heard();
    this.#watch();
  }

  #prepareSession(connection: RawConnection): void {
    const { heartbeatMs, replicaUuid } = this.#options;
    assert(/^[0-9a-f-]{36}$/.test(replicaUuid), "the replica uuid is not a uuid");
    const heartbeatNs = heartbeatMs * 1_000_000;
    // Both names of each: the first of 5.7 and 8.0, the second of 8.0.26 and newer.
    const session = [
      `@master_heartbeat_period = ${heartbeatNs}, @source_heartbeat_period = ${heartbeatNs}`,
      `@slave_uuid = '${replicaUuid}', @replica_uuid = '${replicaUuid}'`,
      "@master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'",
      `SESSION net_write_timeout = ${NET_TIMEOUT_S}, SESSION net_read_timeout = ${NET_TIMEOUT_S}`,
    ];
    connection.query(`SET ${session.join(", ")}`, error => {
      if (error) this.#fail(mysqlError(error, "preparing the dump"));
    });
    const collations =
      "SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS WHERE ID IS NOT NULL";
    connection.query(collations, (error, rows) => {
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
    this.#heard();
    if (!this.#hasStarted) {
      this.#hasStarted = true;
      this.#silenceMs = SILENT_HEARTBEATS * this.#options.heartbeatMs;
      this.#cancelWatch();
      this.#watch();
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
      assert(size >= 19 && sizeOf(whole) === size, "mysql2 hands out something that is no event");
      const event = this.#withoutChecksum(whole);
      this.#handlers.event(event, () => this.#parse(packet, event, execute));
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #withoutChecksum(whole: Buffer): Buffer {
    const type = typeOf(whole);
    if (type === EventType.formatDescription) {
      // The algorithm and four bytes of checksum always end this event, whatever the setting.
      const algorithm = whole.readUInt8(whole.length - CHECKSUM_SIZE - 1);
      if (algorithm !== CRC32 && algorithm !== NO_CHECKSUM) {
        throw new TidemarkError(
          "EVENT_UNREADABLE",
          `The file uses the unknown checksum algorithm ${algorithm}; ` +
            "run SET PERSIST binlog_checksum = CRC32, and begin in a later file.",
        );
      }
      this.#checksummed = algorithm === CRC32;
      return whole;
    }
    const end = whole.length - CHECKSUM_SIZE;
    if (this.#checksummed === false) return whole;
    const content = whole.subarray(0, end);
    const matches = end > 0 && crc32(content) === whole.readUInt32LE(end);
    if (matches) return content;
    // Only the rotation that names the first file comes before anything tells.
    if (this.#checksummed === undefined) return whole;
    throw new TidemarkError(
      "EVENT_UNREADABLE",
      `An event in front of position ${whole.readUInt32LE(13)} does not match its checksum: ` +
        "the binlog file is damaged, or was on its way here.",
    );
  }

  /** Has zongji make its object of an event; it emits that before it returns. */
  #parse(packet: RawPacket, event: Buffer, execute: () => void): ZongjiEvent {
    packet.end = packet.offset + 1 + event.length;
    event.writeUInt32LE(event.length, 9);
    this.#parsed = undefined;
    this.#parseError = undefined;
    this.#parsing = true;
    try {
      execute();
    } finally {
      this.#parsing = false;
    }
    return this.#takeParsed();
  }

  #takeParsed(): ZongjiEvent {
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
    this.#heard();
    this.#zongji.connection?.resume();
  }

  /** Bytes that came over the wire so far. */
  get bytesRead(): number {
    return this.#connections[0]?.stream.bytesRead ?? 0;
  }

  #heard(): void {
    this.#heardMs = this.#options.clock.nowMs();
  }

  #watch(): void {
    const { clock } = this.#options;
    const dueMs = this.#heardMs + this.#silenceMs - clock.nowMs();
    this.#cancelWatch = clock.after(Math.max(1, dueMs), () => this.#check());
  }

  #check(): void {
    if (this.#ended) return;
    // A large event comes as one packet, but its bytes show that the connection lives.
    const isMoving = this.bytesRead !== this.#bytesRead;
    this.#bytesRead = this.bytesRead;
    if (this.#paused || isMoving) this.#heard();
    if (this.#options.clock.nowMs() - this.#heardMs < this.#silenceMs) {
      this.#isSuspect = false;
      this.#watch();
      return;
    }
    if (!this.#isSuspect) {
      // After the process stood still, timers run before what has arrived meanwhile is read.
      this.#isSuspect = true;
      this.#cancelWatch = this.#options.clock.after(GRACE_MS, () => this.#check());
      return;
    }
    const seconds = Math.round(this.#silenceMs / 1_000);
    this.#fail(
      new TidemarkError(
        "SOURCE_UNAVAILABLE",
        `MySQL has been silent for ${seconds} s: connection lost.`,
      ),
    );
  }

  /** Leaves nothing behind: no socket, no timer, no event. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#cancelWatch();
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

function collationMap(rows: unknown): Collations {
  const list = rows as readonly { readonly id: number | string; readonly charset: string }[];
  return new Map(list.map(({ id, charset }) => [Number(id), charset]));
}

function silence(connection: RawConnection): void {
  connection.removeAllListeners("error");
  connection.on("error", () => undefined);
}

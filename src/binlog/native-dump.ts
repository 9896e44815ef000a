/**
 * The dump that we ask for ourselves.
 *
 *   mysql2: connect, TLS, log in, prepare the session ─▶ the dump command ─▶ ours from here on
 *
 *   socket ─▶ packet-reader.ts ─▶ checksums.ts ─▶ event
 *                    └─ parts of what is above 16 MB ─▶ spool.ts ─▶ event in parts
 *
 * Once the session is prepared, the socket is taken from mysql2: it would put large events together in
 * memory, and cannot wait in the middle of a chunk. Events are taken out of a chunk only while nobody has
 * paused the dump.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { createConnection } from "mysql2";
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
import { dumpCommand, mariadbStartStatement } from "./dump-command.ts";
import { HEADER_SIZE, sizeOf } from "./event-header.ts";
import { errorInPacket, mysqlError } from "./mysql-errors.ts";
import { PacketReader } from "./packet-reader.ts";
import type { DumpStart } from "./reader.ts";
import { parseSmallEvent, type SmallEvent } from "./small-events.ts";
import { isDiskFull, Spool } from "./spool.ts";
import { Watchdog } from "./watchdog.ts";

/** The parts of mysql2's connection that are used. */
interface RawConnection extends EventEmitter {
  readonly stream: Socket;
  /** The thread of the server that serves us. */
  readonly threadId: number;
  query(sql: string, callback: (error: unknown, rows: unknown) => void): void;
  destroy(): void;
}

/** What the first byte of a packet says. */
const EVENT = 0x00;
const EOF = 0xfe;
const ERROR = 0xff;
const DISK_WAIT_MS = 1_000;
const KILL_PATIENCE_MS = 1_000;

export class NativeDump implements Dump {
  readonly #options: DumpOptions;
  readonly #handlers: DumpHandlers;
  readonly #packets = new PacketReader(1); // The command was packet 0.
  readonly #checksums = new Checksums();
  #connection: RawConnection | undefined;
  #watchdog: Watchdog | undefined;
  #isOurs = false;
  #hasStarted = false;
  #isEnded = false;
  #isPaused = false;
  /** What is still to be handed out of a large event. */
  #rest: Iterator<void> | undefined;
  #spool: Spool | undefined;
  /** A part of a large event for which the disk had no room. */
  #unwritten: Buffer | undefined;
  #cancelDiskWait: () => void = () => undefined;
  obstacle: string | undefined;

  constructor(options: DumpOptions, handlers: DumpHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  open(start: DumpStart): void {
    const { connection, secure, clock, startTimeoutMs, replicaUuid } = this.#options;
    assert(/^[0-9a-f-]{36}$/.test(replicaUuid), "the replica uuid is not a uuid");
    const raw = createConnection(driverOptions(connection, secure)) as unknown as RawConnection;
    this.#connection = raw;
    raw.on("error", (error: unknown) => this.#fail(mysqlError(error, "the binlog")));
    this.#watchdog = new Watchdog({
      clock,
      silenceMs: startTimeoutMs,
      bytesRead: () => this.bytesRead,
      isPaused: () => this.#isPaused || this.#unwritten !== undefined,
      onSilence: error => this.#fail(error),
    });
    this.#prepare(raw, start);
  }

  #prepare(raw: RawConnection, start: DumpStart): void {
    const ask = (sql: string, doing: string, then: (rows: unknown) => void): void =>
      raw.query(sql, (error, rows) => {
        if (error) this.#fail(mysqlError(error, doing));
        else if (!this.#isEnded) this.#guard(() => then(rows));
      });
    ask(sessionStatement(this.#options), "preparing the dump", () => undefined);
    const statement = mariadbStartStatement(start);
    if (statement !== undefined) ask(statement, "preparing the dump", () => undefined);
    ask(COLLATIONS_QUERY, "reading its collations", rows => {
      this.#handlers.collations(collationMap(rows));
      this.#takeSocket(raw.stream, dumpCommand(start, this.#options.serverId));
    });
  }

  #takeSocket(socket: Socket, command: Buffer): void {
    this.#isOurs = true;
    this.#watchdog?.heard();
    socket.removeAllListeners("data");
    socket.on("data", chunk => this.#onData(chunk));
    socket.on("end", () => this.#onEnd());
    socket.write(command);
    if (this.#isPaused) socket.pause();
  }

  #onData(chunk: Buffer): void {
    if (this.#isEnded) return;
    this.#watchdog?.heard();
    this.#packets.feed(chunk);
    this.#pump();
  }

  #onEnd(): void {
    this.#fail(new TidemarkError("SOURCE_UNAVAILABLE", "MySQL closed the connection."));
  }

  /** Hands out what is there, until somebody pauses it. */
  #pump(): void {
    this.#guard(() => {
      while (!this.#isPaused && !this.#isEnded && this.#unwritten === undefined) {
        if (this.#rest !== undefined) {
          if (this.#rest.next().done === true) this.#endLarge();
          continue;
        }
        if (!this.#packets.next()) return;
        const { bytes, start, end, isPart } = this.#packets;
        if (isPart) this.#onPart(bytes.subarray(start, end));
        else this.#onPacket(bytes, start, end);
      }
    });
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #onPacket(bytes: Buffer, start: number, end: number): void {
    const kind = start < end ? bytes[start] : undefined;
    if (kind === ERROR) throw mysqlError(errorInPacket(bytes.subarray(start, end)), "the binlog");
    if (kind === EOF) {
      throw new TidemarkError("SOURCE_UNAVAILABLE", "MySQL ended the dump: its thread was killed.");
    }
    const size = end - start - 1;
    if (kind !== EVENT || size < HEADER_SIZE || sizeOf(bytes, start + 1) !== size) {
      throw new TidemarkError(
        "SOURCE_UNAVAILABLE",
        "MySQL sent a packet that holds no event: the connection is disturbed.",
      );
    }
    this.#started();
    const from = start + 1;
    this.#rest = this.#handlers.event(bytes, from, this.#checksums.endOf(bytes, from, end));
  }

  /** From the first event on the server sends heartbeats. */
  #started(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    if (this.#watchdog) this.#watchdog.silenceMs = SILENT_HEARTBEATS * this.#options.heartbeatMs;
  }

  #onPart(part: Buffer): void {
    // The first byte of the first part says that it is an event: nothing else is ever so large.
    const content = this.#spool === undefined ? part.subarray(1) : part;
    if (this.#spool === undefined && part.readUInt8(0) !== EVENT) {
      throw new TidemarkError("SOURCE_UNAVAILABLE", "MySQL sent a large packet that is no event.");
    }
    this.#write(content);
  }

  #write(content: Buffer): void {
    try {
      this.#spool ??= new Spool(this.#checksums.areThere);
      this.#spool.write(content);
      this.#unwritten = undefined;
      this.obstacle = undefined;
    } catch (thrown) {
      if (!isDiskFull(thrown)) throw thrown;
      this.obstacle = thrown.message;
      this.#waitForDisk(content);
      return;
    }
    if (this.#packets.isLastPart) this.#rest = this.#large(this.#spool);
  }

  #waitForDisk(content: Buffer): void {
    this.#unwritten = content;
    this.#connection?.stream.pause();
    this.#cancelDiskWait = this.#options.clock.after(DISK_WAIT_MS, () => {
      if (this.#isEnded) return;
      this.#guard(() => this.#write(content));
      if (this.#unwritten === undefined) this.#goOn();
    });
  }

  #large(spool: Spool): Iterator<void> | undefined {
    const { parts } = spool;
    const header = parts.read(0, HEADER_SIZE);
    if (header.length < HEADER_SIZE || sizeOf(header) !== spool.bytes) {
      throw new TidemarkError(
        "SOURCE_UNAVAILABLE",
        "MySQL sent an event of another size than it announced: the connection is disturbed.",
      );
    }
    if (!spool.holds) throw this.#checksums.mismatch(header);
    const rest = this.#handlers.large(parts);
    if (rest === undefined) this.#endLarge();
    return rest;
  }

  #endLarge(): void {
    this.#rest?.return?.();
    this.#rest = undefined;
    this.#spool?.close();
    this.#spool = undefined;
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#connection?.stream.pause();
    this.#handlers.end(error);
  }

  pause(): void {
    if (this.#isPaused || this.#isEnded) return;
    this.#isPaused = true;
    if (this.#isOurs) this.#connection?.stream.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isEnded) return;
    this.#isPaused = false;
    this.#watchdog?.heard();
    this.#goOn();
  }

  #goOn(): void {
    this.#pump();
    if (this.#isPaused || this.#isEnded || this.#unwritten !== undefined) return;
    if (this.#isOurs) this.#connection?.stream.resume();
  }

  parse(event: Buffer): SmallEvent {
    return parseSmallEvent(event);
  }

  get bytesRead(): number {
    return this.#connection?.stream.bytesRead ?? 0;
  }

  async close(): Promise<void> {
    this.#isEnded = true;
    this.#watchdog?.stop();
    this.#cancelDiskWait();
    this.#endLarge();
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.removeAllListeners("error");
    connection.on("error", () => undefined);
    if (this.#isOurs && !connection.stream.destroyed) await this.#endThread(connection.threadId);
    connection.destroy();
    connection.stream.destroy();
  }

  /** The server would notice a closed socket only when it writes, and list us as a replica until then. */
  #endThread(thread: number): Promise<void> {
    const { connection, secure, clock } = this.#options;
    const killer = createConnection(driverOptions(connection, secure)) as unknown as RawConnection;
    return new Promise<void>(resolve => {
      const cancel = clock.after(KILL_PATIENCE_MS, resolve);
      const done = (): void => {
        cancel();
        resolve();
      };
      killer.on("error", done);
      killer.query(`KILL ${thread}`, done);
    }).finally(() => {
      killer.destroy();
      killer.stream.destroy();
    });
  }
}

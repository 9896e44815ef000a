/**
 * The socket of a connection that mysql2 has made, for commands of our own and their answers.
 *
 * It is taken between two statements and given back behind one. What has arrived and is not read yet is
 * bounded: beyond that the socket is paused, and the server waits.
 */
import type { Socket } from "node:net";
import type { Connection } from "mysql2/promise";
import { errorInPacket } from "../binlog/mysql-errors.ts";
import { PacketReader } from "../binlog/packet-reader.ts";
import { Watchdog } from "../binlog/watchdog.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { Wake } from "../core/signal.ts";

const WAITING_BYTES_MAX = 256 * 1024;
/** A condition may let the server look at many rows before it sends one. */
const SILENCE_MS = 3_600_000;
const HEADER_SIZE = 4;
const ERROR = 0xff;
const NOTHING: Buffer = Buffer.alloc(0);

export interface RowSocketOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  /** A row that is larger is refused. */
  readonly rowBytesMax: number;
}

export class RowSocket {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #rowBytesMax: number;
  readonly #signal: AbortSignal;
  readonly #watchdog: Watchdog;
  readonly #listeners: readonly ((chunk: Buffer) => void)[];
  readonly #wake = new Wake();
  #packets = new PacketReader(1);
  #waitingBytes = 0;
  readonly #parts: Buffer[] = [];
  #partsBytes = 0;
  #failure: Error | undefined;
  /** Where the content of the packet that was taken last stands. */
  bytes = NOTHING;
  start = 0;
  end = 0;

  constructor({ connection, clock, rowBytesMax }: RowSocketOptions, signal: AbortSignal) {
    this.#connection = connection;
    this.#socket = socketOf(connection);
    this.#rowBytesMax = rowBytesMax;
    this.#signal = signal;
    this.#listeners = this.#socket.listeners("data") as ((chunk: Buffer) => void)[];
    this.#socket.removeAllListeners("data");
    this.#socket.on("data", this.#onData);
    this.#socket.on("error", this.#onError);
    this.#socket.on("close", this.#onClose);
    if (this.#socket.destroyed) this.#onClose();
    this.#watchdog = new Watchdog({
      clock,
      silenceMs: SILENCE_MS,
      bytesRead: () => this.#socket.bytesRead,
      isPaused: () => this.#socket.isPaused(),
      onSilence: error => this.#fail(error),
    });
  }

  /** Sends a command; the packets that follow are its answer. */
  command(code: number, content: Buffer): void {
    const header = Buffer.alloc(HEADER_SIZE + 1);
    header.writeUIntLE(content.length + 1, 0, 3);
    header.writeUInt8(code, HEADER_SIZE);
    this.#socket.write(Buffer.concat([header, content]));
    this.#packets = new PacketReader(1);
  }

  /**
   * Finds the next packet: `bytes` from `start` to `end`. False if it has not arrived yet.
   *
   * @throws the error that the server sends in its place, with its `errno`.
   */
  take(): boolean {
    const packets = this.#packets;
    while (packets.next()) {
      const { bytes, start, end, isPart } = packets;
      if (isPart) {
        if (!this.#join(bytes.subarray(start, end))) continue;
      } else {
        this.bytes = bytes;
        this.start = start;
        this.end = end;
      }
      if (this.bytes[this.start] === ERROR) {
        throw errorInPacket(this.bytes.subarray(this.start, this.end));
      }
      return true;
    }
    return false;
  }

  /** Puts the parts of a large packet together. True when it is whole. */
  #join(part: Buffer): boolean {
    this.#parts.push(part);
    this.#partsBytes += part.length;
    if (this.#partsBytes > this.#rowBytesMax) throw rowTooLarge(this.#rowBytesMax);
    if (!this.#packets.isLastPart) return false;
    this.bytes = Buffer.concat(this.#parts);
    this.start = 0;
    this.end = this.bytes.length;
    this.#parts.length = 0;
    this.#partsBytes = 0;
    return true;
  }

  /** Resolves when something more has arrived. */
  async more(): Promise<void> {
    this.#waitingBytes = 0;
    if (this.#failure !== undefined) throw this.#failure;
    this.#socket.resume();
    this.#watchdog.heard();
    await this.#wake.until(
      () => this.#waitingBytes > 0 || this.#failure !== undefined,
      this.#signal,
    );
  }

  async next(): Promise<void> {
    while (!this.take()) await this.more();
  }

  /** To be called when the answer was read to its end, or to its error. */
  giveBack(): void {
    this.#let();
    for (const listener of this.#listeners) this.#socket.on("data", listener);
    this.#socket.resume();
  }

  /** Ends the connection: what is left of the answer is not worth reading. */
  destroy(): void {
    this.#let();
    this.#socket.on("error", () => undefined);
    this.#connection.destroy();
    this.#socket.destroy();
  }

  #let(): void {
    this.#watchdog.stop();
    this.#socket.off("data", this.#onData);
    this.#socket.off("error", this.#onError);
    this.#socket.off("close", this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#packets.feed(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#socket.pause();
    this.#wake.notify();
  };

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void =>
    this.#fail(new TidemarkError("SOURCE_UNAVAILABLE", "MySQL closed the connection."));

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#wake.notify();
  }
}

export function rowTooLarge(rowBytesMax: number): TidemarkError {
  return new TidemarkError(
    "ROW_TOO_LARGE",
    `A row has more bytes than queue.max_row allows (${rowBytesMax}): raise it, and queue.memory with it.`,
  );
}

function socketOf(connection: Connection): Socket {
  const { connection: raw } = connection as unknown as {
    readonly connection: { readonly stream: Socket };
  };
  return raw.stream;
}

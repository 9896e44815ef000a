/**
 * The rows of XA transactions that were prepared earlier and are committed now, read anew by a dump of their own
 * while the stream waits:
 *
 *   GTID  XA START  rows …  XA END  XA PREPARE   …   GTID  XA COMMIT
 *   └──────────────read from here                          └─ the stream is here
 */
import type { PreparedGroup } from "../core/checkpoint.ts";
import { TidemarkError, type ErrorCode } from "../core/errors.ts";
import type { Rows } from "../core/rows.ts";
import { isBefore, type BinlogPlace } from "./binlog-place.ts";
import type { BinlogEvent, BinlogReader } from "./reader.ts";
import type { MysqlServer } from "./server.ts";

type XaEvent = Extract<BinlogEvent, { kind: "xa" }>;

export interface PreparedGroupsOptions {
  readonly server: Pick<MysqlServer, "binlogFiles" | "scan">;
  /** A reader beside that of the stream, with the same tables. */
  readonly open: () => BinlogReader;
}

const GONE: ReadonlySet<ErrorCode> = new Set(["POSITION_LOST", "POSITION_UNUSABLE"]);
/** Where the first event of a binlog file begins. */
const FILE_START = 4;

export class PreparedGroups {
  readonly #options: PreparedGroupsOptions;

  constructor(options: PreparedGroupsOptions) {
    this.#options = options;
  }

  /**
   * The rows of a group to its end, in batches.
   *
   * @throws TidemarkError POSITION_UNUSABLE if the server no longer has it; the signal's reason if that aborts.
   */
  async *rows({ xid, file, position }: PreparedGroup, signal: AbortSignal): AsyncGenerator<Rows[]> {
    try {
      const start = { kind: "position", file, position } as const;
      for await (const events of this.#options.open().events(start, signal)) {
        const end = events.findIndex(({ kind }) => kind === "xa");
        const own = end < 0 ? events : events.slice(0, end);
        yield own.flatMap(event => (event.kind === "rows" ? [event.rows] : []));
        if (end < 0) continue;
        if ((events[end] as XaEvent).xid === xid) return;
        throw new TidemarkError("POSITION_UNUSABLE", `another transaction stands there`);
      }
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError) || !GONE.has(thrown.code)) throw thrown;
      // The place of the stream itself is not lost: that error would advise to give it up.
      const reason = `They were prepared at ${file}:${position}, which the server does not have any more.`;
      throw unreadable(xid, reason, thrown);
    }
    signal.throwIfAborted();
  }

  /**
   * The group that XA PREPARE ended last under this name before a place. The files are read from the newest back: most
   * often it stands in the same one.
   */
  async find(xid: string, before: BinlogPlace, signal: AbortSignal): Promise<PreparedGroup> {
    const { files } = await this.#options.server.binlogFiles();
    const names = files.map(({ name }) => name);
    for (const file of names.slice(0, names.indexOf(before.file) + 1).reverse()) {
      const found = await this.#lastIn(file, { xid, before }, signal);
      if (found?.step === "prepare") return { xid, server_uuid: "", file, position: found.group };
      if (found !== undefined) break;
    }
    signal.throwIfAborted();
    throw unreadable(xid, "The server has no binlog file in which it was prepared.");
  }

  async #lastIn(
    file: string,
    { xid, before }: { readonly xid: string; readonly before: BinlogPlace },
    signal: AbortSignal,
  ): Promise<XaEvent | undefined> {
    let found: XaEvent | undefined;
    const start = { kind: "position", file, position: FILE_START } as const;
    for await (const events of this.#options.server.scan(start, signal)) {
      for (const event of events) {
        if (event.kind === "file") {
          if (event.file !== file) return found;
          continue;
        }
        const position = event.kind === "heartbeat" ? event.nextPosition : event.position;
        if (!isBefore({ file, position }, before)) return found;
        if (event.kind === "xa" && event.xid === xid) found = event;
      }
    }
    return found;
  }
}

function unreadable(xid: string, reason: string, cause?: unknown): TidemarkError {
  return new TidemarkError(
    "POSITION_UNUSABLE",
    `XA COMMIT ${xid} makes rows last that cannot be read any more. ${reason} ` +
      "Compare the tables with the destination, then go on behind it with tidemark position set.",
    { cause },
  );
}

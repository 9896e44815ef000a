/**
 * Where a run begins: at the checkpoint if there is one that the server can still serve, otherwise where
 * `source.start` says. What cannot be served stops the pipeline; nothing ever jumps forward.
 */
import type { MysqlServer } from "../binlog/server.ts";
import { MENDED_BY_SET } from "../binlog/mysql-errors.ts";
import { partOnServer } from "./part-on-server.ts";
import type { StartConfig } from "../config/config.ts";
import { sourcePosition, type Checkpoint, type SourcePosition } from "../core/checkpoint.ts";
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import { GtidSet } from "../core/gtid-set.ts";
import type { Logger } from "../core/logger.ts";
import type { DumpStart, TableFilter } from "../binlog/reader.ts";

export interface Start {
  readonly position: SourcePosition;
  /** The server that is read from now on. */
  readonly serverUuid: string;
  /** False if the checkpoint comes from another server: then its GTID set places us. */
  readonly sameServer: boolean;
}

/**
 * @throws TidemarkError POSITION_UNUSABLE or POSITION_LOST if the server cannot go on where the checkpoint
 *   ends, SOURCE_BEHIND if it may come to.
 */
export async function startAtCheckpoint(
  server: MysqlServer,
  checkpoint: Checkpoint,
  { reader, logger, wants, arrived }: StartOptions,
): Promise<Start> {
  const { serverUuid } = await server.inspect();
  const position = sourcePosition(checkpoint);
  const sameServer = position.serverUuid === serverUuid;
  await checkGtids(server, position, { sameServer, arrived });
  if (sameServer) await checkFile(server, position);
  if (position.transaction === undefined) return { position, serverUuid, sameServer };
  if (sameServer && countAlike(checkpoint.reader, reader)) {
    return { position, serverUuid, sameServer };
  }
  const { id } = position.transaction;
  const transaction = countAlike(checkpoint.reader, reader)
    ? await partOnServer(server, position, wants)
    : undefined;
  const again = Object.keys(position.transaction.tables).filter(
    table => transaction?.tables[table] === undefined,
  );
  if (again.length > 0) {
    logger.warn(
      { transaction: id, tables: again.slice(0, TABLES_TOLD), tables_in_all: again.length },
      "the checkpoint lies inside a transaction whose rows cannot be told to be the same: all its rows of these " +
        "tables are sent again",
    );
  }
  return { position: { ...position, transaction }, serverUuid, sameServer };
}

/**
 * Where it goes on if the server has lost what follows the checkpoint: at the present, `afterGap`.
 *
 * @throws TidemarkError as `startAtCheckpoint` does, but POSITION_LOST.
 */
export async function startAfterGap(
  server: MysqlServer,
  checkpoint: Checkpoint,
  options: StartOptions,
): Promise<Start & { readonly afterGap: boolean }> {
  try {
    return { ...(await startAtCheckpoint(server, checkpoint, options)), afterGap: false };
  } catch (thrown) {
    if (toTidemarkError(thrown).code !== "POSITION_LOST") throw thrown;
    return { ...(await startFresh(server, { kind: "latest" })), afterGap: true };
  }
}

/** What decides how rows are read, and which. */
export interface StartOptions {
  readonly reader: string;
  readonly wants: TableFilter;
  readonly logger: Logger;
  /** Transactions of which something is at the destination, although the checkpoint does not tell. */
  readonly arrived?: ReadonlySet<string>;
}

const TABLES_TOLD = 10;

/** The readers whose row checksums are made over the same bytes: the rows as they were logged. */
const AS_LOGGED: ReadonlySet<string> = new Set(["native", "zongji"]);

function countAlike(one: string, other: string): boolean {
  return one === other || (AS_LOGGED.has(one) && AS_LOGGED.has(other));
}

/**
 * Whether the server can go on behind what was delivered, by its GTIDs.
 *
 * @throws TidemarkError as `startAtCheckpoint` does.
 */
async function checkGtids(
  server: MysqlServer,
  position: SourcePosition,
  { sameServer, arrived }: { sameServer: boolean; arrived?: ReadonlySet<string> | undefined },
): Promise<void> {
  const { gtidSet, anonymous } = position;
  if (!sameServer && (gtidSet === "" || anonymous)) {
    const reason = anonymous
      ? "transactions without GTID were passed"
      : "the checkpoint holds no GTID set";
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      `This is another server than ${position.serverUuid}, which the checkpoint comes from, and ` +
        `${reason}, so the place to go on cannot be found. Connect to that server again. Or: ${MENDED_BY_SET}`,
    );
  }
  if (gtidSet === "") return;
  const { executed, purged } = await server.gtids();
  const delivered = deliveredSet(position, arrived);
  const missing = await server.subtractGtids(delivered, executed);
  if (missing !== "") throw await lacking(server, { gtidSet, missing });
  const lost = sameServer ? "" : await server.subtractGtids(purged, gtidSet);
  if (lost === "") return;
  throw new TidemarkError(
    "POSITION_LOST",
    `The server has purged transactions that were not delivered yet: ${lost}. ${MENDED_BY_SET}`,
  );
}

/** With the transactions of which only some rows are delivered, or not yet known to be. */
function deliveredSet(
  { gtidSet, transaction }: SourcePosition,
  arrived: ReadonlySet<string> = new Set(),
): string {
  const set = GtidSet.parse(gtidSet);
  for (const id of [...arrived, ...(transaction === undefined ? [] : [transaction.id])]) {
    if (!id.includes("/")) set.add(id); // Otherwise it is none: it was made of a place of the binlog.
  }
  return set.toString();
}

async function lacking(
  server: MysqlServer,
  { gtidSet, missing }: { readonly gtidSet: string; readonly missing: string },
): Promise<TidemarkError> {
  const found = `The server lacks transactions that were delivered already: ${missing}.`;
  const awaits = await server.awaitsGtids(missing);
  if (awaits !== false)
    return new TidemarkError("SOURCE_BEHIND", `${found} It may still get them.`);
  // Only what is delivered whole: of the others the rest is still to come.
  const rest = await server.subtractGtids(gtidSet, missing);
  const goOn = rest === "" ? "earliest" : `'${rest}'`;
  return new TidemarkError(
    "POSITION_UNUSABLE",
    `${found} It replicates from no server that could bring them: it was restored from a backup, or they ` +
      "were lost with the server that they came from. Bring that one back, or let this one replicate from a server that " +
      "has them. Or go on without them, although the destination holds them: " +
      `\`tidemark position set ${goOn}\`.`,
  );
}

export interface GoingOn {
  readonly start: Pick<Start, "serverUuid">;
  readonly progress: { readonly position: SourcePosition };
  readonly next: DumpStart;
}

/**
 * Who the server is, if it can be read after a lost connection: the same one where it stood, or another
 * one that has what was delivered.
 *
 * @throws TidemarkError as `startAtCheckpoint` does, or SOURCE_CHANGED.
 */
export async function serverToGoOn(
  server: MysqlServer,
  { start, progress, next }: GoingOn,
): Promise<string> {
  const { serverUuid } = await server.inspect();
  const { position } = progress;
  if (serverUuid !== start.serverUuid) await checkGtids(server, position, { sameServer: false });
  else if (next.kind === "position" && !(await server.hasFile(next.file))) {
    // What was read is delivered first, and then it is known what is lost.
    const message = `The server no longer has ${next.file}, which is to be read next.`;
    throw new TidemarkError("SOURCE_CHANGED", message);
  }
  return serverUuid;
}

/** @throws TidemarkError POSITION_LOST, which names what was purged as far as it can be named. */
async function checkFile(server: MysqlServer, position: SourcePosition): Promise<void> {
  const { file, position: offset } = position.boundary;
  if (await server.hasFile(file)) return;
  const oldest = (await server.binlogFiles()).files[0]?.name;
  const { gtidSet } = position;
  const purged = gtidSet === "" ? "" : (await server.gtids()).purged;
  const gone = await server.subtractGtids(purged, gtidSet);
  const upTo = oldest === undefined ? "" : ` up to the start of ${oldest}, the oldest that it has`;
  const named = gone === "" ? "" : ` (transactions ${gone})`;
  throw new TidemarkError(
    "POSITION_LOST",
    `The server has purged binlog that was not delivered yet: from ${file}:${offset}${upTo}${named}. ${MENDED_BY_SET}`,
  );
}

/** The position that `source.start` stands for now; the caller writes it down before anything is read. */
export async function startFresh(server: MysqlServer, start: StartConfig): Promise<Start> {
  const { serverUuid } = await server.inspect();
  const at = async (
    found: { readonly file: string; readonly position: number },
    gtidSet: string | undefined,
  ): Promise<Start> => ({
    serverUuid,
    sameServer: true,
    position: {
      serverUuid,
      boundary: {
        file: found.file,
        position: found.position,
        fileCreated: await server.fileCreated(found.file),
      },
      gtidSet: gtidSet ?? "",
      transaction: undefined,
      // What stands before a bare file and position is not known as a set.
      anonymous: gtidSet === undefined,
    },
  });
  switch (start.kind) {
    case "latest": {
      const found = await server.currentPosition();
      return at(found, found.gtidSet);
    }
    case "earliest": {
      const found = await server.earliestPosition();
      return at(found, found.gtidSet);
    }
    case "position":
      await checkPlace(server, start);
      return at(start, undefined);
    case "gtid-set": {
      const position: SourcePosition = {
        // No server has this uuid, so the set alone places us until something is delivered.
        serverUuid: "",
        boundary: { file: "", fileCreated: 0, position: 0 },
        gtidSet: start.gtidSet,
        transaction: undefined,
        anonymous: false,
      };
      await checkGtids(server, position, { sameServer: false });
      return { position, serverUuid, sameServer: false };
    }
  }
}

/** A dump that begins inside a transaction cannot be read, or would leave out the rows before. */
async function checkPlace(
  server: MysqlServer,
  { file, position }: { readonly file: string; readonly position: number },
): Promise<void> {
  const size = await server.fileSize(file);
  const unusable = (reason: string): TidemarkError =>
    new TidemarkError(
      "POSITION_UNUSABLE",
      `The server cannot be read from ${file}:${position}: ${reason}.`,
    );
  if (size === undefined) throw unusable(`it has no binlog file ${file}`);
  if (position > size) throw unusable(`the file has ${size} bytes`);
  if (position === size) return;
  const event = await server.eventAt(file, position);
  if (event === undefined) throw unusable("no event begins there");
  if (!BETWEEN_TRANSACTIONS.test(event)) {
    throw unusable(`it lies inside a transaction, before an event ${event}`);
  }
}

/** Events that stand where one transaction has ended and the next has not begun. */
const BETWEEN_TRANSACTIONS = /gtid|^(Format_desc|Rotate|Stop|Heartbeat|Binlog_checkpoint)/i;

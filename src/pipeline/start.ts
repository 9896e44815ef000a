/**
 * Where a run begins: at the checkpoint if there is one that the server can still serve, otherwise where
 * `source.start` says. What cannot be served stops the pipeline; nothing ever jumps forward.
 */
import type { MysqlServer } from "../binlog/server.ts";
import type { StartConfig } from "../config/config.ts";
import { sourcePosition, type Checkpoint, type SourcePosition } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

export interface Start {
  readonly position: SourcePosition;
  /** The server that is read from now on. */
  readonly serverUuid: string;
  /** False if the checkpoint comes from another server: then its GTID set places us. */
  readonly sameServer: boolean;
}

const MENDED =
  "Set a new position with `tidemark position set earliest` (what the server still has is sent, perhaps " +
  "again) or `tidemark position set latest` (what lies between is never sent).";

/** @throws TidemarkError POSITION_UNUSABLE if the server cannot go on where the checkpoint ends. */
export async function startAtCheckpoint(
  server: MysqlServer,
  checkpoint: Checkpoint,
  options: { readonly reader: string; readonly logger: Logger },
): Promise<Start> {
  const { serverUuid } = await server.inspect();
  const position = sourcePosition(checkpoint);
  const sameServer = position.serverUuid === serverUuid;
  await checkGtids(server, position, sameServer);
  if (sameServer && !(await server.hasFile(position.boundary.file))) {
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      `The server no longer has ${position.boundary.file}, where the checkpoint ends ` +
        `(offset ${position.boundary.position}): it was purged, and what followed is lost to us. ${MENDED}`,
    );
  }
  if (position.transaction === undefined) return { position, serverUuid, sameServer };
  if (sameServer && countAlike(checkpoint.reader, options.reader)) {
    return { position, serverUuid, sameServer };
  }
  options.logger.warn(
    { transaction: position.transaction.id },
    "the checkpoint lies inside a transaction that was read in another way: all its rows are sent again",
  );
  return { position: { ...position, transaction: undefined }, serverUuid, sameServer };
}

/** The readers whose row checksums are made over the same bytes: the rows as they were logged. */
const AS_LOGGED: ReadonlySet<string> = new Set(["native", "zongji"]);

function countAlike(one: string, other: string): boolean {
  return one === other || (AS_LOGGED.has(one) && AS_LOGGED.has(other));
}

async function checkGtids(
  server: MysqlServer,
  position: SourcePosition,
  sameServer: boolean,
): Promise<void> {
  const { gtidSet, anonymous } = position;
  if (!sameServer && (gtidSet === "" || anonymous)) {
    const reason = anonymous
      ? "transactions without GTID were passed"
      : "the checkpoint holds no GTID set";
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      `This is another server than ${position.serverUuid}, which the checkpoint comes from, and ` +
        `${reason}, so the place to go on cannot be found. Connect to that server again. Or: ${MENDED}`,
    );
  }
  if (gtidSet === "") return;
  const { executed, purged } = await server.gtids();
  const missing = await server.subtractGtids(gtidSet, executed);
  if (missing !== "") {
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      `The server lacks transactions that were delivered already: ${missing}. It was restored from a ` +
        `backup, or it lags behind the one read before. Connect to a server that has them. Or: ${MENDED}`,
    );
  }
  const lost = sameServer ? "" : await server.subtractGtids(purged, gtidSet);
  if (lost !== "") {
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      `The server has purged transactions that were not delivered yet: ${lost}. ${MENDED}`,
    );
  }
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
      await checkGtids(server, position, false);
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

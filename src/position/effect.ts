/** What moving a checkpoint means: which changes are never sent, and which are sent a second time. */
import type { MysqlServer } from "../binlog/server.ts";
import { binlogFileNumber, type SourcePosition } from "../core/checkpoint.ts";

/** One sentence. */
export async function effectOf(
  server: MysqlServer,
  before: SourcePosition | undefined,
  after: SourcePosition,
): Promise<string> {
  if (before === undefined) {
    return `What was changed before ${placeOf(after)} is not sent; there is no older position to compare with.`;
  }
  const isSameServer = before.serverUuid === after.serverUuid && before.boundary.file !== "";
  if (isSameServer && after.boundary.file !== "") return byOffset(before, after);
  if (before.gtidSet === "" || after.gtidSet === "") {
    return "The two positions belong to different servers and cannot be compared: look for what is skipped or repeated.";
  }
  const [skipped, repeated] = await Promise.all([
    server.subtractGtids(after.gtidSet, before.gtidSet),
    server.subtractGtids(before.gtidSet, after.gtidSet),
  ]);
  const parts = [
    ...(skipped === "" ? [] : [`Skipped, never to be sent: ${skipped}.`]),
    ...(repeated === "" ? [] : [`Sent again: ${repeated}.`]),
  ];
  return parts.length === 0 ? "Nothing is skipped and nothing sent again." : parts.join(" ");
}

function byOffset(before: SourcePosition, after: SourcePosition): string {
  const moved = compare(before, after);
  const [from, to] = [placeOf(before), placeOf(after)];
  const part = before.transaction;
  if (moved === 0) {
    return part === undefined
      ? "The position is the same: nothing is skipped and nothing sent again."
      : `Sent again: the part of transaction ${part.id} that was delivered.`;
  }
  return moved > 0
    ? `Skipped, never to be sent: everything from ${from} to ${to}.`
    : `Sent again: everything from ${to} to ${from}.`;
}

function compare({ boundary: a }: SourcePosition, { boundary: b }: SourcePosition): number {
  return binlogFileNumber(b.file) - binlogFileNumber(a.file) || b.position - a.position;
}

export function placeOf({ boundary, gtidSet }: SourcePosition): string {
  return boundary.file === "" ? `the end of ${gtidSet}` : `${boundary.file}:${boundary.position}`;
}

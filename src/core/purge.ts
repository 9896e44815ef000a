/** How much time is left until the server removes binlog that is still needed. */
import { binlogFileNumber } from "./checkpoint.ts";
import type { BinlogNews, ReleasedPosition } from "./vitals.ts";

/**
 * How long the server will keep the file that holds our position, at the least. It removes a file some
 * time after its last change, and we know only that this is not before the newest event released. The
 * file that is written now is not removed before it is closed and that time has passed.
 */
export function purgeMs(
  news: BinlogNews | undefined,
  released: ReleasedPosition | undefined,
  wallMs: number,
): number | undefined {
  const newest = news?.files.at(-1);
  if (news === undefined || released === undefined || newest === undefined) return undefined;
  const ours = binlogFileNumber(released.file);
  if (ours < binlogFileNumber(news.files[0]?.name ?? "")) return 0;
  if (ours >= binlogFileNumber(newest.name)) return news.expireS * 1000;
  const changedS = Math.max(released.fileCreated, released.eventTimeS);
  return Math.max(0, (changedS + news.expireS) * 1000 - wallMs);
}

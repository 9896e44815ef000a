/** `tidemark snapshot`: asks a pipeline for the existing rows of tables, while it runs. */
import { tablePatternFault } from "../config/table-pattern.ts";
import { TidemarkError } from "../core/errors.ts";
import { silentLogger } from "../core/logger.ts";
import type { SnapshotState } from "../core/snapshot-state.ts";
import { requestSnapshot, type Asked } from "../position/request-snapshot.ts";
import { loadFrom, type ConfigFlags } from "./config-options.ts";
import { chosen } from "./position-command.ts";
import type { Reporter } from "./reporter.ts";

export interface SnapshotFlags extends ConfigFlags {
  readonly pipeline?: string;
  readonly force?: boolean;
  readonly wait?: boolean;
  /** Seconds. */
  readonly connectTimeout: number;
}

const SHOWN_MS = 1_000;

/** @param words patterns of tables, and behind them the source and the target, if there is no file. */
export async function snapshotCommand(
  words: readonly string[],
  flags: SnapshotFlags,
  reporter: Reporter,
): Promise<void> {
  const isPlace = (word: string): boolean => word.startsWith("mysql://");
  const count = words.some(isPlace) ? words.findIndex(isPlace) : words.length;
  const patterns = words.slice(0, count);
  const [source, target, ...others] = words.slice(count);
  if (others.length > 0) throw new TidemarkError("USAGE", "Tables belong in front of the source.");
  if (patterns.every(pattern => pattern.startsWith("!"))) {
    throw new TidemarkError("USAGE", "Name the tables whose rows are wanted, such as shop.orders.");
  }
  for (const pattern of patterns) {
    const fault = tablePatternFault(pattern);
    if (fault !== undefined) throw new TidemarkError("USAGE", `${pattern}: ${fault}.`);
  }
  const { config } = loadFrom({ source, target, flags, reporter });
  const pipeline = chosen(config, flags);
  const stop = new AbortController();
  const onSignal = (): void =>
    stop.abort(new TidemarkError("DRAIN_TIMEOUT", "It was stopped; the pipeline goes on copying."));
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    const asked = await requestSnapshot({
      ...{ config, pipeline, patterns, force: flags.force === true, logger: silentLogger },
      timeoutMs: Math.ceil(flags.connectTimeout * 1_000),
      signal: stop.signal,
      ...(flags.wait === true ? { onProgress: progressOn(process.stderr) } : {}),
    });
    process.stdout.write(
      outcome(asked, { pipeline: pipeline.name, isWaiting: flags.wait === true }),
    );
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

function outcome(
  { tables, sent }: Asked,
  { pipeline, isWaiting }: { readonly pipeline: string; readonly isWaiting: boolean },
): string {
  const is = isWaiting ? "Copied by" : "Taken by";
  const lines = [
    ...(tables.length === 0 ? [] : [`${is} pipeline ${pipeline}: ${tables.join(", ")}.`]),
    ...(sent.length === 0
      ? []
      : [`All rows of these were sent before; --force sends them again: ${sent.join(", ")}.`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** A line a second. */
function progressOn(stream: NodeJS.WriteStream) {
  let shownMs = 0;
  return ({ tables }: Asked, state: SnapshotState): void => {
    if (performance.now() - shownMs < SHOWN_MS) return;
    shownMs = performance.now();
    const known = tables.map(id => state.tables[id]);
    const done = known.filter(table => table?.done === true).length;
    const rows = known.reduce((sum, table) => sum + (table?.rows ?? 0), 0);
    stream.write(`${done} of ${tables.length} tables, ${rows} rows …\n`);
  };
}

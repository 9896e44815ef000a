/** `dedupe` of a pipeline: what a person writes, and what the program makes of it. */
import { z } from "zod";
import type { DedupeConfig, Delivery } from "./config.ts";
import type { Faults, Path } from "./faults.ts";
import { formatSize, integer, parseSize, size } from "./scalars.ts";

export const dedupeSchema = z
  .strictObject({
    window_ms: integer(1, 300_000).describe(
      "Milliseconds for which a changed row is held: so much later its message comes.",
    ),
    max_memory: size("64KB", "1024GB")
      .optional()
      .describe(
        "Rows that may be held, taken from the pipeline's share of `queue.memory`, of which it may be half. " +
          "When it is full, the oldest are sent early. Default: a quarter of the share.",
      ),
  })
  .optional()
  .describe(
    "Changes of the same row within a window are merged into one message, with the row as it was before the " +
      "first and as it is after the last: see [dedupe.md](dedupe.md). Delivery is then `at-least-once`. " +
      "Default: every change is sent.",
  );

export type DedupeSettings = NonNullable<z.output<typeof dedupeSchema>>;

interface Surroundings {
  /** Of the pipeline; undefined if that is at fault itself. */
  readonly shareBytes: number | undefined;
  readonly faults: Faults;
}

export function normaliseDedupe(
  settings: DedupeSettings,
  path: Path,
  { shareBytes = 0, faults }: Surroundings,
): DedupeConfig {
  const most = Math.floor(shareBytes / 2);
  const given = parseSize(settings.max_memory ?? "");
  if (given !== undefined && shareBytes > 0 && given > most) {
    faults.add(
      [...path, "max_memory"],
      `may be half of the pipeline's share of queue.memory, which is ${formatSize(most)}: ` +
        "raise queue.memory, or lower it",
    );
  }
  return { windowMs: settings.window_ms, maxMemoryBytes: given ?? Math.floor(shareBytes / 4) };
}

/** A crash merges what follows in another way, so what has arrived by then cannot be found again by its id. */
export function dedupedDelivery(
  delivery: Delivery | undefined,
  { isDeduped, path, faults }: { isDeduped: boolean; path: Path; faults: Faults },
): Delivery {
  if (isDeduped && delivery === "effectively-once") {
    faults.add(
      [...path, "delivery"],
      "`dedupe` merges what is sent again after a crash in another way than before it, so repeats cannot be " +
        "told: take `delivery` out, which is then at-least-once, or take `dedupe` out",
    );
  }
  return delivery ?? (isDeduped ? "at-least-once" : "effectively-once");
}
